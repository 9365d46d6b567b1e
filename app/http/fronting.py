"""The outermost middleware: request id, security headers and one log line per request."""

from __future__ import annotations

import time

import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.http.hardening import hardened
from app.http.request_state import state_of

log = structlog.get_logger("http")


class FrontMiddleware(ASGIMiddleware):
    """Names the request, hardens the answer, and logs who asked what and how it ended."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on with an answer that carries our headers."""
        assert scope["type"] == ScopeType.HTTP
        state = state_of(scope)
        started = time.perf_counter()
        status = 0

        async def send_hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = hardened(
                    list(message["headers"]), state.request_id, bool(state.actor.organisation_id)
                )
            await send(message)

        try:
            await next_app(scope, receive, send_hardened)
        finally:
            log.info(
                "request",
                request_id=state.request_id,
                method=scope["method"],
                route=scope.get("path_template", ""),
                status=status,
                actor=state.actor.id,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )
