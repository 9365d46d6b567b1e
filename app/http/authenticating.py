"""Who asks: from the bearer token to an actor, before any handler runs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from anyio.to_thread import run_sync
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from app.http.request_state import state_of
from app.kernel.actor import Actor
from app.kernel.refusals import NotSignedIn


@runtime_checkable
class Authenticator(Protocol):
    """What http needs of accounts: tokens in, actors out."""

    def actor_of(self, token: str) -> Actor:
        """The actor of a valid access token; raises `NotSignedIn`. May ask the store."""
        ...


def bearer_token(header: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header; None without one (RFC 6750 §2.1)."""
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    if not token.strip():
        raise NotSignedIn("The bearer token is empty.")
    return token.strip()


class AuthenticationMiddleware(ASGIMiddleware):
    """Puts the actor of the request's token into its state.

    A token that does not hold is refused even where none is needed: a client must learn of it. A
    route with `opt={"own_authentication": True}` reads the header itself (the token endpoint).
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "own_authentication"

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Authenticate, then go on."""
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(headers) > 1:
            raise NotSignedIn("Send one Authorization header.")
        token = bearer_token(headers[0].decode("latin-1") if headers else None)
        if token is not None:
            state_of(scope).actor = await run_sync(self._authenticator.actor_of, token)
        await next_app(scope, receive, send)
