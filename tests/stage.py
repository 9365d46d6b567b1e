"""A stage: one application for all tests of a process, which serves each test's own installation.

Composing the application takes longer than most tests; what it serves is looked up at each request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

from litestar import Litestar
from litestar.testing import TestClient

from app import wiring
from app.db.installation import Installation, open_installation
from app.http.authenticating import Authenticator
from app.kernel.actor import Actor
from app.kernel.clock import SystemClock
from app.kernel.refusals import NotSignedIn
from app.kernel.sealing import MasterKeys
from app.main import create_app
from app.settings import Settings


class NobodyKnown:
    """An authenticator that knows no token."""

    def actor_of(self, token: str) -> Actor:
        raise NotSignedIn("Nobody is known here.")


class Stage:
    """The shared application, the installation that it serves now and who knows its tokens.

    Until it serves one there is none: stores that do not exist, and nobody known.
    """

    def __init__(self) -> None:
        keys = MasterKeys("none", {"none": bytes(32)})
        self._nowhere = open_installation(Settings(home=Path("nowhere")), SystemClock(), keys)
        self._installation = replace(self._nowhere)
        self._authenticator: Authenticator = NobodyKnown()
        self.app: Litestar = create_app(self._installation, self, wiring.ROUTERS)

    def actor_of(self, token: str) -> Actor:
        """Whom the present authenticator knows the token as."""
        return self._authenticator.actor_of(token)

    @contextmanager
    def serve(
        self, installation: Installation, authenticator: Authenticator
    ) -> Iterator[TestClient[Litestar]]:
        """A client of the application while it serves `installation`."""
        self._turn_to(installation, authenticator)
        try:
            with TestClient(self.app, raise_server_exceptions=False) as client:
                yield client
        finally:
            self._turn_to(self._nowhere, NobodyKnown())

    def _turn_to(self, installation: Installation, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        for part in fields(Installation):
            # Frozen for good reasons; this one stands for many, one after the other.
            object.__setattr__(self._installation, part.name, getattr(installation, part.name))


@cache
def the_stage() -> Stage:
    """The one of this process."""
    return Stage()
