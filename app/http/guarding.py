"""Guards: who may call a route. What rows they may have is each package's `access_*`."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard
from litestar.utils.sync import AsyncCallable

from app.http.request_state import state_of
from app.kernel.actor import ActorKind
from app.kernel.refusals import NotAllowed, NotSignedIn

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Needs:
    """A guard that lets through an actor whose token carries one of `scopes`.

    The role matrix reads `scopes` from the route table.
    """

    def __init__(self, *scopes: str) -> None:
        self.scopes = frozenset(scopes)

    def __call__(self, connection: AnyConnection, _handler: BaseRouteHandler) -> None:
        """Refuse an anonymous actor with 401, one without any of the scopes with 403."""
        actor = state_of(connection.scope).actor
        if actor.kind is ActorKind.ANONYMOUS:
            raise NotSignedIn("This needs an access token.")
        if self.scopes and not self.scopes & actor.scopes:
            needed = " or ".join(sorted(self.scopes))
            raise NotAllowed(
                f"The token lacks the scope {needed}.",
                headers={
                    "WWW-Authenticate": f'Bearer error="insufficient_scope", '
                    f'scope="{" ".join(sorted(self.scopes))}"'
                },
                scopes=sorted(self.scopes),
            )


def needs(*scopes: str) -> Guard:
    """A guard for any of `scopes`; without arguments, for anyone who is signed in."""
    return Needs(*scopes)


def needed_by(handler: BaseRouteHandler) -> frozenset[str] | None:
    """The scopes of which the handler's guard asks for one; None where anybody may call."""
    guards = [
        guard.func if isinstance(guard, AsyncCallable) else guard
        for guard in handler.resolve_guards()
    ]
    asked = [guard.scopes for guard in guards if isinstance(guard, Needs)]
    return asked[0] if asked else None
