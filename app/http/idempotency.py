"""Idempotency keys: a POST repeated under its key gets the answer that the first one got.

The answer is stored in the transaction that it tells of: the two are true together or not at all.
draft-ietf-httpapi-idempotency-key-header; keys are a caller's own and live 24 hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from sqlmodel import Session, col, delete

from app.db.installation import Installation
from app.db.session import now
from app.http.models import AnsweredRequest
from app.http.request_state import Answer
from app.kernel.actor import Actor, job_actor
from app.kernel.refusals import Malformed, RuleBroken, StepNotAllowed
from app.kernel.sealing import Sealer

KEEP = timedelta(hours=24)
MAX_KEY_LENGTH = 255
KEPT_HEADERS = frozenset({b"content-type", b"location", b"etag"})


class IdempotencyKeyReused(RuleBroken):
    """The same key came with another request."""

    slug: ClassVar[str] = "idempotency-key-reused"
    title: ClassVar[str] = "Idempotency key reused"


class SecretAlreadyShown(StepNotAllowed):
    """The first answer held a secret, which is shown once."""

    slug: ClassVar[str] = "secret-already-shown"
    title: ClassVar[str] = "Secret already shown"


def read_key(values: Iterable[str]) -> str | None:
    """The idempotency key: 1 to 255 visible ASCII characters, given once; None without."""
    keys = list(values)
    if not keys:
        return None
    key = keys[0]
    if len(keys) > 1 or not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii():
        raise Malformed("Idempotency-Key is one value of 1 to 255 ASCII characters.")
    if not key.isprintable():
        raise Malformed("Idempotency-Key holds visible characters only.")
    return key


def request_digests(
    keys: Sealer, method: str, path: str, query: bytes, body_sha256: bytes
) -> list[str]:
    """What makes two requests the same request: its fingerprint under each master key.

    A body may hold a password: a plain hash of it could be tried out by a reader of the store.
    """
    head = f"{method} {path}?".encode() + query
    return keys.fingerprints(hashlib.sha256(head).digest() + body_sha256, "request")


def is_kept(row: AnsweredRequest, moment: datetime) -> bool:
    """Whether the answer is still within its 24 hours."""
    return moment < row.answered_at + KEEP


def earlier_answer(
    session: Session, actor: Actor, key: str, digests: Collection[str]
) -> Answer | None:
    """The kept answer to this request, marked as replayed; None when the key is new or has expired.

    Raises `IdempotencyKeyReused` for another request and `SecretAlreadyShown` for a secret.
    """
    row = session.get(AnsweredRequest, (actor.id, key))
    if row is None or not is_kept(row, now(session)):
        return None
    if row.request_sha256 not in digests:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request.")
    if row.body is None:
        raise SecretAlreadyShown(
            "The first answer to this request held a secret, which is shown once."
        )
    headers = tuple((name.encode(), str(value).encode()) for name, value in row.headers.items())
    return Answer(row.status, (*headers, (b"idempotency-replayed", b"true")), row.body)


def keep_answer(
    session: Session, actor: Actor, key: str, digest: str, answer: Answer, *, secret: bool
) -> None:
    """Store `answer` beside the change it tells of; a twin that was faster breaks the flush."""
    session.execute(
        delete(AnsweredRequest).where(
            col(AnsweredRequest.actor_id) == actor.id,
            col(AnsweredRequest.key) == key,
            col(AnsweredRequest.answered_at) <= now(session) - KEEP,
        )
    )
    session.add(
        AnsweredRequest(
            actor_id=actor.id,
            key=key,
            request_sha256=digest,
            status=answer.status,
            headers=_kept(answer.headers),
            body=None if secret else answer.body,
            answered_at=now(session),
        )
    )
    session.flush()


def forget_old_answers(installation: Installation) -> None:
    """Delete answers older than 24 hours; recurring work."""
    with installation.transaction(job_actor("idempotency.sweep")) as session:
        session.execute(
            delete(AnsweredRequest).where(col(AnsweredRequest.answered_at) <= now(session) - KEEP)
        )


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers if name in KEPT_HEADERS}
