"""One request, one transaction, and no byte of an answer before COMMIT.

Reads stream; every other method is answered from memory after its transaction is durable, so a
failed COMMIT is a 503 and never a 2xx.
"""

from __future__ import annotations

from typing import cast

from anyio.to_thread import run_sync
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPRequestEvent,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.db.installation import Installation
from app.db.session import commit, now, remember, rollback
from app.http.idempotency import (
    earlier_answer,
    is_kept,
    keep_answer,
    read_key,
    request_digests,
)
from app.http.models import AnsweredRequest
from app.http.problems import problem_answer
from app.http.request_state import Answer, RequestState, state_of
from app.kernel.actor import ActorKind
from app.kernel.refusals import Outage

READS = frozenset({"GET", "HEAD", "OPTIONS"})


class TransactionMiddleware(ASGIMiddleware):
    """Gives each request a lazy session and settles it before the answer goes out.

    Route options: `no_transaction` (touches no store), `exempt_from_idempotency`, `holds_secret`.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "no_transaction"

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Run the route in a transaction of its own."""
        assert scope["type"] == ScopeType.HTTP
        state = state_of(scope)
        writes = scope["method"] not in READS
        state.session = self._installation.market_session(state.actor, writes=writes)
        try:
            if writes:
                await self._write(scope, receive, send, next_app)
            else:
                await next_app(scope, receive, send)
        finally:
            await run_sync(state.session.close)

    async def _write(
        self, scope: HTTPScope, receive: Receive, send: Send, next_app: ASGIApp
    ) -> None:
        key = _idempotency_key(scope, state_of(scope))
        if key is not None:
            receive = _hashing(receive, state_of(scope))
            if await run_sync(self._is_known, scope, key):
                # What one token was told is told to no other of the same actor that may not ask.
                await scope["route_handler"].authorize_connection(ASGIConnection(scope))
                await _drain(receive)
                answer = await run_sync(self._replay, scope, key)
                if answer is None:
                    raise Outage("The answer under this key expired just now; try again.")
                await _send_answer(send, answer)
                return
        collected = _Collector()
        await next_app(scope, receive, collected)
        if key is not None:
            await _drain(receive)
        try:
            answer = await run_sync(self._settle, scope, key, collected.answer())
        except Exception as error:  # noqa: BLE001 - Litestar believes it has answered: we must
            answer = problem_answer(state_of(scope), error)
        await _send_answer(send, answer)

    def _settle(self, scope: HTTPScope, key: str | None, answer: Answer) -> Answer:
        """Commit, or roll back and remember; the answer that may now be sent."""
        state = state_of(scope)
        session = _session(state)
        if answer.status >= 400:
            rollback(session)
            if key is not None and (kept := self._replay(scope, key)) is not None:
                return kept
            if state.refusal is not None:
                remember(self._installation.market_session(state.actor), state.refusal)
            return answer
        if key is not None:
            try:
                secret = bool(scope["route_handler"].opt.get("holds_secret"))
                digest = self._digests(scope, state)[0]
                keep_answer(session, state.actor, key, digest, answer, secret=secret)
            except IntegrityError:
                rollback(session)
                twin = self._replay(scope, key)
                if twin is None:
                    raise Outage("A twin of this request is under way; try again.") from None
                return twin
        commit(session)
        return answer

    def _is_known(self, scope: HTTPScope, key: str) -> bool:
        """Whether an answer may be kept under `key`, before the body has been read."""
        state = state_of(scope)
        with self._installation.transaction(state.actor, writes=False) as session:
            row = session.get(AnsweredRequest, (state.actor.id, key))
            return row is not None and is_kept(row, now(session))

    def _replay(self, scope: HTTPScope, key: str) -> Answer | None:
        state = state_of(scope)
        with self._installation.transaction(state.actor, writes=False) as session:
            return earlier_answer(session, state.actor, key, self._digests(scope, state))

    def _digests(self, scope: HTTPScope, state: RequestState) -> list[str]:
        body_sha256 = state.body_digest.digest()
        return request_digests(
            self._installation.keys,
            scope["method"],
            scope["path"],
            scope["query_string"],
            body_sha256,
        )


class _Collector:
    """Takes a response as ASGI messages and holds it back."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = tuple(
                (bytes(name).lower(), bytes(value)) for name, value in message["headers"]
            )
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def answer(self) -> Answer:
        return Answer(self._status, self._headers, bytes(self._body))


async def _send_answer(send: Send, answer: Answer) -> None:
    headers = [header for header in answer.headers if header[0] != b"content-length"]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _idempotency_key(scope: HTTPScope, state: RequestState) -> str | None:
    """The key that this request is to be remembered by: only a POST of somebody we know."""
    if scope["method"] != "POST" or state.actor.kind is ActorKind.ANONYMOUS:
        return None
    if scope["route_handler"].opt.get("exempt_from_idempotency"):
        return None
    return read_key(
        value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"
    )


def _hashing(receive: Receive, state: RequestState) -> Receive:
    """`receive`, hashing the body as it passes; after the end it stays at the end."""
    ended = False

    async def hashed() -> HTTPReceiveMessage:
        nonlocal ended
        if ended:
            return HTTPRequestEvent(type="http.request", body=b"", more_body=False)
        message = cast("HTTPReceiveMessage", await receive())
        if message["type"] == "http.request":
            state.body_digest.update(message.get("body", b""))
            ended = not message.get("more_body", False)
        else:
            ended = True
        return message

    return hashed


async def _drain(receive: Receive) -> None:
    """Read what the handler left of the body, so that its digest is of all of it."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


def _session(state: RequestState) -> Session:
    assert state.session is not None
    return state.session
