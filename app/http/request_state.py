"""What travels with one request through the middleware."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from litestar.types import Scope
from sqlmodel import Session

from app.kernel.actor import ANONYMOUS, Actor
from app.kernel.refusals import Refusal

_KEY = "zhigu"


@dataclass(frozen=True)
class Answer:
    """A whole response, in memory: header names are lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class RequestState:
    """One request: its id, who asks, its transaction, and the refusal that it ended in."""

    request_id: str = field(default_factory=lambda: uuid4().hex)
    actor: Actor = ANONYMOUS
    session: Session | None = None
    refusal: Refusal | None = None
    body_digest: Any = field(default_factory=hashlib.sha256)


def state_of(scope: Scope) -> RequestState:
    """The state of the request that `scope` belongs to; made when it is first asked for."""
    mapping = cast("dict[str, Any]", scope)
    found = mapping.get(_KEY)
    if found is None:
        found = mapping[_KEY] = RequestState()
    return cast("RequestState", found)
