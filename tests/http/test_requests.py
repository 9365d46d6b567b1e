"""How every route speaks: strict bodies, problems, one transaction, idempotency keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import msgspec
import pytest
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.testing import TestClient
from sqlalchemy import event, text
from sqlmodel import Session, select
from structlog.testing import capture_logs

from app.db.installation import Installation
from app.http.guarding import needs
from app.http.schemas import Body, View
from app.jobs.models import Job
from app.jobs.queue import enqueue
from app.kernel.actor import Actor, ActorKind
from app.kernel.refusals import NotSignedIn, RuleBroken
from app.kernel.sealing import MasterKeys
from app.main import create_app


class Note(Body):
    title: str
    count: Annotated[int, msgspec.Meta(ge=0)]
    tags: tuple[str, ...] = ()


class NoteView(View):
    title: str
    count: int


@post("/notes", sync_to_thread=True, guards=[needs("notes:write")])
def make_note(data: JSONBody[Note], session: NamedDependency[Session]) -> NoteView:
    enqueue(session, "note", title=data.title)
    if data.title == "refuse":
        raise RuleBroken("This note is refused.", rule="no-refuse")
    if data.title == "remember":
        raise RuleBroken("Refused, but remembered.", keep=lambda s: enqueue(s, "refused-note"))
    if data.title == "bug":
        raise KeyError("secret detail")
    return NoteView(title=data.title, count=data.count)


@post("/secrets", sync_to_thread=True, guards=[needs()], opt={"holds_secret": True})
def make_secret(session: NamedDependency[Session]) -> dict[str, str]:
    enqueue(session, "secret")
    return {"secret": "hush"}


@get("/notes", sync_to_thread=True)
def list_notes(session: NamedDependency[Session], limit: FromQuery[int] = 10) -> dict[str, int]:
    return {"count": len(session.exec(select(Job)).all()), "limit": limit}


class KnownTokens:
    def actor_of(self, token: str) -> Actor:
        if token not in ("good", "other", "weak", "narrow"):
            raise NotSignedIn("The token does not hold.")
        scopes = frozenset[str]() if token in ("weak", "narrow") else frozenset({"notes:write"})
        client = "good" if token == "narrow" else token
        return Actor(ActorKind.CLIENT, f"cli_{client}", "org_1", scopes=scopes)


@pytest.fixture
def client(installation: Installation) -> Iterator[TestClient[Any]]:
    app = create_app(installation, KnownTokens(), [make_note, make_secret, list_notes])
    with TestClient(app, raise_server_exceptions=False) as opened:
        opened.headers["Authorization"] = "Bearer good"
        yield opened


def jobs(installation: Installation) -> list[str]:
    with installation.market.connect() as connection:
        return [row[0] for row in connection.execute(text("SELECT kind FROM job ORDER BY id"))]


GOOD = {"title": "a", "count": 1}
JSON = {"Content-Type": "application/json"}

MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"title": "a"}',
    b'{"title": "a", "count": "5"}',
    b'{"title": "a", "count": true}',
    b'{"title": "a", "count": 1.0}',
    b'{"title": "a", "count": 1.5}',
    b'{"title": "a", "count": -1}',
    b'{"title": "a", "count": NaN}',
    b'{"title": "a", "count": 1e400}',
    b'{"title": "a", "count": 1' + b"0" * 400 + b"}",
    b'{"title": "a", "count": 1, "extra": 2}',
    b'{"title": "a", "title": "b", "count": 1}',
    b'{"title": 5, "count": 1}',
    b'{"title": "a\\u0000b", "count": 1}',
    b'{"title": "a\\u202eb", "count": 1}',
    b'{"title": "\\ud800", "count": 1}',
    b'{"title": "\xff", "count": 1}',
    b'\xef\xbb\xbf{"title": "a", "count": 1}',
    b'{"title": "a", "count": 1, "tags": ' + b"[" * 50 + b"]" * 50 + b"}",
    b'{"title": "a", "count": 1, "tags": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"a":' * 100_000,
    b'{"title": "a", "count": 1, "tags": [' + b'"",' * 120_000 + b'""]}',
    '{"title": "a\u0301\u0327ORE", "count": 1}'.replace("ORE", "\u0301\u0327" * 20).encode(),
    '{"title": "a\u0f73ORE", "count": 1}'.replace("ORE", "\u0f73" * 40).encode(),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:50]))
def test_a_malformed_body_is_a_400_problem_and_changes_nothing(
    client: TestClient[Any], installation: Installation, body: bytes
) -> None:
    answer = client.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:zhigu:problem:malformed"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert jobs(installation) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**GOOD, "tags": ["a", "b\0"]}, ".tags[1]"),
        ({**GOOD, "tags": ["a", {"x": {"y": ["\u200b"]}}]}, ".tags[1].x.y[0]"),
        ({**GOOD, "title": "\0"}, ".title"),
        ({**GOOD, "title": 5}, ".title"),
        ({**GOOD, "a\0": 5}, ""),
    ],
    ids=str,
)
def test_a_malformed_body_is_told_where_it_is_so(
    client: TestClient[Any], body: dict[str, Any], path: str
) -> None:
    answer = client.post("/notes", json=body)
    assert answer.status_code == 400
    assert answer.json()["path"] == path


def test_marks_that_people_write_are_kept(client: TestClient[Any]) -> None:
    letter = "\u0f40" + "\u0f71\u0f74\u0f7e" + "q\u0301" + "\u0327" * 29
    answer = client.post("/notes", json={"title": letter, "count": 1})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "", "application/json; charset=gbk"]
)
def test_a_body_of_another_type_is_a_415(client: TestClient[Any], kind: str) -> None:
    answer = client.post(
        "/notes", content=json.dumps(GOOD).encode(), headers={"Content-Type": kind}
    )
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:zhigu:problem:unsupported-media-type"


def test_an_oversized_body_is_a_413(client: TestClient[Any]) -> None:
    body = json.dumps({"title": "x" * 11_000_000, "count": 1}).encode()
    answer = client.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:zhigu:problem:too-large"


def test_text_comes_out_in_normal_form_c(client: TestClient[Any]) -> None:
    answer = client.post("/notes", json={"title": "e\u0301", "count": 1})
    assert answer.status_code == 201
    assert answer.json()["title"] == "\u00e9"


@pytest.mark.parametrize("query", ["limit=x", "other=1", "limit=1&limit=2", "limit=1%00"])
def test_a_query_that_is_not_understood_is_a_400(client: TestClient[Any], query: str) -> None:
    assert client.get(f"/notes?{query}").status_code == 400
    assert client.get("/notes?limit=5").json()["limit"] == 5


def test_unknown_paths_and_methods_are_problems(client: TestClient[Any]) -> None:
    missing, wrong = client.get("/nowhere"), client.delete("/notes")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    for answer in (missing, wrong):
        assert answer.headers["content-type"] == "application/problem+json"


def test_who_may_call_is_401_without_a_token_and_403_without_the_scope(
    client: TestClient[Any],
) -> None:
    for token, status in ((None, 401), ("bad", 401), ("weak", 403), ("good", 201)):
        headers = {"Authorization": f"Bearer {token}"} if token else {"Authorization": ""}
        answer = client.post("/notes", json=GOOD, headers=headers)
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) == (status in (401, 403))


def test_a_client_that_hangs_up_in_its_body_is_no_bug_of_ours(
    client: TestClient[Any], installation: Installation
) -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b'{"title"', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/notes",
        "raw_path": b"/notes",
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"30"),
            (b"authorization", b"Bearer good"),
        ],
    }
    with capture_logs() as logs:
        anyio.run(client.app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert "bug" not in [line["event"] for line in logs]
    assert jobs(installation) == []


def test_a_refusal_rolls_back_and_a_bug_tells_nothing(
    client: TestClient[Any], installation: Installation
) -> None:
    refused = client.post("/notes", json={"title": "refuse", "count": 1})
    assert refused.status_code == 422
    assert refused.json()["rule"] == "no-refuse"
    bug = client.post("/notes", json={"title": "bug", "count": 1})
    assert bug.status_code == 500
    assert "secret detail" not in bug.text
    assert jobs(installation) == []


def test_what_a_refusal_must_remember_survives_its_rollback(
    client: TestClient[Any], installation: Installation
) -> None:
    assert client.post("/notes", json={"title": "remember", "count": 1}).status_code == 422
    assert jobs(installation) == ["refused-note"]


def test_a_failed_commit_is_a_503_and_never_a_2xx(
    client: TestClient[Any], installation: Installation
) -> None:
    from sqlalchemy.exc import OperationalError

    def fail(_connection: object) -> None:
        raise OperationalError("COMMIT", None, Exception("gone"))

    event.listen(installation.market, "commit", fail)
    answer = client.post("/notes", json=GOOD)
    event.remove(installation.market, "commit", fail)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert jobs(installation) == []


def test_the_same_key_and_body_get_the_same_answer_and_one_effect(
    client: TestClient[Any], installation: Installation
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = client.post("/notes", json=GOOD, headers=key)
    second = client.post("/notes", json=GOOD, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert jobs(installation) == ["note"]


def test_a_key_belongs_to_its_request_and_its_caller(
    client: TestClient[Any], installation: Installation
) -> None:
    key = {"Idempotency-Key": "k1"}
    client.post("/notes", json=GOOD, headers=key)
    other_body = client.post("/notes", json={"title": "b", "count": 1}, headers=key)
    assert other_body.status_code == 422
    assert other_body.json()["type"] == "urn:zhigu:problem:idempotency-key-reused"
    other_caller = client.post(
        "/notes", json=GOOD, headers={**key, "Authorization": "Bearer other"}
    )
    assert other_caller.status_code == 201
    assert "idempotency-replayed" not in other_caller.headers
    assert jobs(installation) == ["note", "note"]


def test_what_is_kept_of_a_body_cannot_be_tried_out_without_the_master_key(
    client: TestClient[Any], installation: Installation
) -> None:
    body = json.dumps(GOOD).encode()
    client.post("/notes", content=body, headers={**JSON, "Idempotency-Key": "k1"})
    kept = "SELECT request_sha256 FROM answered_request"
    with installation.market.connect() as connection:
        found = connection.execute(text(kept)).scalar_one()
    head, content = hashlib.sha256(b"POST /notes?").digest(), hashlib.sha256(body).digest()
    assert found != hashlib.sha256(head + content).hexdigest()
    assert found == installation.keys.fingerprints(head + content, "request")[0]
    rotated = MasterKeys("new", {**installation.keys.keys, "new": b"2" * 32})
    assert found == rotated.fingerprints(head + content, "request")[1]


def test_an_answer_is_told_again_to_nobody_who_may_not_ask_now(
    client: TestClient[Any], installation: Installation
) -> None:
    key = {"Idempotency-Key": "k1"}
    assert client.post("/notes", json=GOOD, headers=key).status_code == 201
    narrow = client.post("/notes", json=GOOD, headers={**key, "Authorization": "Bearer narrow"})
    assert narrow.status_code == 403
    assert narrow.json()["type"] == "urn:zhigu:problem:not-allowed"
    assert jobs(installation) == ["note"]


def test_a_refused_request_does_not_use_up_its_key(client: TestClient[Any]) -> None:
    key = {"Idempotency-Key": "k1"}
    assert (
        client.post("/notes", json={"title": "refuse", "count": 1}, headers=key).status_code == 422
    )
    assert client.post("/notes", json=GOOD, headers=key).status_code == 201


def test_an_answer_with_a_secret_is_not_told_twice(
    client: TestClient[Any], installation: Installation
) -> None:
    key = {"Idempotency-Key": "k1"}
    assert client.post("/secrets", headers=key).json() == {"secret": "hush"}
    again = client.post("/secrets", headers=key)
    assert again.status_code == 409
    assert again.json()["type"] == "urn:zhigu:problem:secret-already-shown"
    assert jobs(installation) == ["secret"]
    with installation.market.connect() as connection:
        assert connection.execute(text("SELECT body FROM answered_request")).scalar() is None


def test_parallel_twins_under_one_key_have_one_effect(
    client: TestClient[Any], installation: Installation
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def call(_: int) -> Any:
        return client.post("/notes", json=GOOD, headers={"Idempotency-Key": "k1"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert jobs(installation) == ["note"]


def test_a_key_expires_after_a_day(
    client: TestClient[Any], installation: Installation, clock: Any
) -> None:
    from datetime import timedelta

    key = {"Idempotency-Key": "k1"}
    client.post("/notes", json=GOOD, headers=key)
    clock.advance(timedelta(hours=24))
    again = client.post("/notes", json=GOOD, headers=key)
    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers
    assert jobs(installation) == ["note", "note"]


def test_every_answer_is_hardened(client: TestClient[Any]) -> None:
    for answer in (client.get("/notes"), client.get("/nowhere"), client.post("/notes", json=GOOD)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
