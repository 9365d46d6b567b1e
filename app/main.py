"""Main: compose the parts of wiring into the one application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any

from litestar import Litestar, Request, Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler
from sqlmodel import Session

from app.db.installation import Installation
from app.http.authenticating import AuthenticationMiddleware, Authenticator
from app.http.decoding import StrictBody
from app.http.docs import openapi_config, schema_handler
from app.http.fronting import FrontMiddleware
from app.http.parameters import check_query
from app.http.problems import EXCEPTION_HANDLERS
from app.http.request_state import state_of
from app.http.transacting import TransactionMiddleware
from app.kernel.actor import Actor

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(
    installation: Installation,
    authenticator: Authenticator,
    routers: Sequence[ControllerRouterHandler],
    foreign_paths: Mapping[str, Any] = MappingProxyType({}),
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """The application that serves `routers` for `installation`.

    `foreign_paths` are OpenAPI path items of parts that the router does not see.
    """
    return Litestar(
        # One router for all: Litestar wraps a sync handler once more each time that another handler
        # of its path is registered by itself, and then answers with a coroutine.
        route_handlers=[Router("/", route_handlers=[*routers, schema_handler(foreign_paths)])],
        middleware=[
            FrontMiddleware(),
            AuthenticationMiddleware(authenticator),
            TransactionMiddleware(installation),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        dependencies={
            "session": Provide(request_session, sync_to_thread=False),
            "actor": Provide(request_actor, sync_to_thread=False),
            "installation": Provide(lambda: installation, sync_to_thread=False, use_cache=True),
        },
        before_request=check_query,
        dto=StrictBody,
        return_dto=None,
        request_max_body_size=installation.settings.body_max_bytes,
        openapi_config=openapi_config(installation.settings.public_url),
        logging_config=None,
        lifespan=list(lifespan),
    )


def request_session(request: Request[Any, Any, Any]) -> Session:
    """The session of this request's transaction."""
    session = state_of(request.scope).session
    assert session is not None, "a route without a transaction asked for a session"
    return session


def request_actor(request: Request[Any, Any, Any]) -> Actor:
    """Who makes this request."""
    return state_of(request.scope).actor
