"""Principals: from a bearer token to an organisation, verified once and then remembered."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.kernel.actor import Actor
from app.kernel.refusals import NotAllowed, NotSignedIn

DATA_SCOPE = "data:read"
CACHE_SIZE = 10_000

VerifyToken = Callable[[str], tuple[Actor, int]]
"""A token's actor and when it lapses (Unix seconds); raises `NotSignedIn`. May block."""

SubjectsOf = Callable[[Actor], frozenset[str]]
"""The names by which an actor's right to call may be ended."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for; only with the scope for data."""

    organisation_id: str
    lapses_at_us: int
    subjects: frozenset[str]


class PrincipalCache:
    """Verified tokens by their hash, bounded; what ends is dropped at once."""

    def __init__(
        self, verify: VerifyToken, subjects_of: SubjectsOf, size: int = CACHE_SIZE
    ) -> None:
        self._verify = verify
        self._subjects_of = subjects_of
        self._size = size
        self._known: OrderedDict[bytes, Principal] = OrderedDict()
        self._ended: frozenset[str] = frozenset()

    def recall(self, header: bytes, now_us: int) -> Principal | None:
        """The principal of an Authorization header that was verified before and still holds."""
        name = hashlib.sha256(header).digest()
        principal = self._known.get(name)
        if principal is None:
            return None
        if now_us >= principal.lapses_at_us:
            del self._known[name]
            return None
        return principal

    async def verify(self, header: bytes, now_us: int) -> Principal:
        """The principal of an Authorization header, verified afresh and remembered.

        Refuses with `NotSignedIn`, or with `NotAllowed` where the token is not for data.
        """
        actor, lapses_at_s = await asyncio.to_thread(self._verify, _bearer(header))
        if DATA_SCOPE not in actor.scopes or actor.organisation_id is None:
            raise NotAllowed(
                f"The token lacks the scope {DATA_SCOPE}.",
                headers={
                    "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{DATA_SCOPE}"'
                },
                scopes=[DATA_SCOPE],
            )
        subjects = self._subjects_of(actor)
        if not subjects.isdisjoint(self._ended):
            raise NotSignedIn("The access token is not valid, or no longer.")
        principal = Principal(actor.organisation_id, lapses_at_s * 1_000_000, subjects)
        if now_us < principal.lapses_at_us:
            self._known[hashlib.sha256(header).digest()] = principal
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return principal

    def end(self, subjects: frozenset[str]) -> None:
        """From now on refuse every token that speaks for one of `subjects`."""
        if subjects == self._ended:
            return
        self._ended = subjects
        for name, principal in list(self._known.items()):
            if not principal.subjects.isdisjoint(subjects):
                del self._known[name]


def _bearer(header: bytes) -> str:
    scheme, _, token = header.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token or not token.isascii():
        raise NotSignedIn("Send an access token: Authorization: Bearer …")
    return token.decode("ascii")
