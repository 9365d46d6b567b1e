"""A gateway in a test's own event loop, called over ASGI as a server would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import sqlalchemy as sa

from app.db.installation import Installation
from app.kernel.actor import Actor, ActorKind
from app.kernel.clock import epoch_us
from app.kernel.refusals import NotSignedIn
from app.metering.gateway.gateway import Gateway, make_gateway
from app.metering.granting import apply_grant
from app.metering.tables import usage_event
from tests.matrix.answers import check, document, operation_at
from tests.metering.grant_documents import BUYER, grant_document

ROWS = 12


@dataclass(frozen=True)
class Answer:
    """What the gateway sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """The slug of a problem document; empty for data."""
        if self.headers["content-type"] != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix("urn:zhigu:problem:")


class Caller:
    """Calls a gateway as one organisation."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def get(self, path: str, token: str | None = BUYER, **headers: str) -> Answer:
        return await self.call("GET", path, token, headers)

    async def call(
        self,
        method: str,
        path: str,
        token: str | None = BUYER,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        receive = never if body is None else in_pieces(body)
        start, *bodies = await self.sent(method, path, token, headers, receive=receive)
        assert not bodies[-1].get("more_body", False)
        answer = Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in bodies),
        )
        must_be_documented(method, path.partition("?")[0], answer)
        return answer

    async def sent(
        self,
        method: str,
        path: str,
        token: str | None = BUYER,
        headers: Mapping[str, str] | None = None,
        before_body: Callable[[], object] | None = None,
        *,
        receive: Callable[[], Awaitable[Any]] | None = None,
    ) -> list[Any]:
        """The messages that the gateway sends; `before_body` happens once the headers are out, and
        is waited for where it can be.
        """
        pairs = [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in (headers or {}).items()
        ]
        if token is not None:
            pairs.append((b"authorization", f"Bearer {token}".encode()))
        raw_path, _, query = path.encode().partition(b"?")
        scope = {
            "type": "http",
            "method": method,
            "path": raw_path.decode(),
            "raw_path": raw_path,
            "query_string": query,
            "headers": pairs,
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            begun = before_body() if not sent and before_body is not None else None
            sent.append(message)
            if isinstance(begun, Awaitable):
                await begun

        await self.gateway(scope, receive or never, send)
        return sent


def must_be_documented(method: str, path: str, answer: Answer) -> None:
    """Fail for an answer that the OpenAPI document does not tell of."""
    operation = operation_at(method, path)
    if operation is not None and answer.status != 405:
        check(operation, answer.status, answer.headers, str(answer.body[:200]))


async def never() -> Any:
    """The buyer stays on the line, and sends no body."""
    await asyncio.Event().wait()


def in_pieces(body: bytes) -> Callable[[], Awaitable[Any]]:
    """A buyer who sends `body` in two pieces, and stays on the line."""
    middle = len(body) // 2
    messages = [
        {"type": "http.request", "body": body[:middle], "more_body": True},
        {"type": "http.request", "body": body[middle:], "more_body": False},
    ]

    async def receive() -> Any:
        return messages.pop(0) if messages else await never()

    return receive


def verify(token: str) -> tuple[Actor, int]:
    """Test tokens are the organisation's name; `bad` does not hold, `noscope` lacks the scope."""
    if token == "bad":
        raise NotSignedIn("The access token is not valid, or no longer.")
    scopes = frozenset() if token.startswith("noscope") else frozenset({"data:read"})
    actor = Actor(ActorKind.CLIENT, "cli_one", token, scopes=scopes, client_id="cli_one")
    return actor, 2**40


Story = Callable[[Caller], Awaitable[None]]


def play(installation: Installation, story: Story, **options: Any) -> None:
    """Run `story` against a started gateway."""

    async def run() -> None:
        gateway = make_gateway(installation, options.pop("verify_token", verify), **options)
        await gateway.start()
        try:
            await story(Caller(gateway))
        finally:
            await gateway.stop()

    # Made now: it takes longer than a gateway may go without a look at what was revoked.
    document()
    asyncio.run(run())


def give(installation: Installation, grant_id: str = "grt_one", **changes: Any) -> dict[str, Any]:
    """Apply a grant on the installation's table of twelve rows; its document."""
    document = grant_document(grant_id, **{"file": table(installation), **changes})
    with installation.usage_transaction() as connection:
        assert apply_grant(connection, document, epoch_us(installation.clock.now()))
    return document


def table(installation: Installation) -> dict[str, Any]:
    """A file with twelve rows, described as a compiled grant describes it."""
    folder = installation.settings.files_dir
    folder.mkdir(exist_ok=True)
    target = folder / "rows.parquet"
    with duckdb.connect(":memory:") as connection:
        if not target.exists():
            select = f"SELECT i AS number, 'row ' || i AS name FROM range({ROWS}) t(i)"
            connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet)")
        described = connection.execute(f"DESCRIBE SELECT * FROM '{target}'").fetchall()
    columns = [{"name": row[0], "type": row[1]} for row in described]
    return {"path": "rows.parquet", "rows": ROWS, "sha256": "0" * 64, "columns": columns}


def events(installation: Installation) -> list[Any]:
    """Every event in the store, by number."""
    with installation.usage.connect() as connection:
        return list(connection.execute(sa.select(usage_event).order_by(usage_event.c.number)))


def check_problem(answer: Answer, status: int, slug: str) -> None:
    assert (answer.status, answer.slug) == (status, slug)
    assert "usage-receipt" not in answer.headers
