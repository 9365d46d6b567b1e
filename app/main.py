"""Main: compose the parts of wiring into the one application."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send
from sqlmodel import Session

from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation
from app.http.authenticating import AuthenticationMiddleware, Authenticator
from app.http.decoding import StrictBody
from app.http.docs import openapi_config, schema_handler
from app.http.fronting import FrontMiddleware
from app.http.heading import AnswersHead
from app.http.parameters import check_parameters
from app.http.problems import EXCEPTION_HANDLERS
from app.http.request_state import state_of
from app.http.transacting import TransactionMiddleware
from app.kernel.actor import Actor
from app.metering.gateway.gateway import Gateway
from app.metering.gateway.principals import VerifyToken
from app.opening import WORKERS_VARIABLE, open_home, prepare_process
from app.settings import load_settings
from app.wiring import API_PARTS, ROUTERS

DATA_PREFIX = "/data/"
SWITCH_INTERVAL_S = 5e-5
PlainAsgi = Callable[[Any, Any, Any], Awaitable[None]]
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(
    installation: Installation,
    authenticator: Authenticator,
    routers: Sequence[ControllerRouterHandler],
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """The application that serves `routers` for `installation`; all but the gateway."""
    return Litestar(
        # One router for all: Litestar wraps a sync handler once more each time that another handler
        # of its path is registered by itself, and then answers with a coroutine.
        route_handlers=[Router("/", route_handlers=[*routers, schema_handler(API_PARTS)])],
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
        before_request=check_parameters,
        dto=StrictBody,
        return_dto=None,
        request_max_body_size=installation.settings.body_max_bytes,
        openapi_config=openapi_config(API_PARTS.scopes),
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


class MountedGateway:
    """The one ASGI application: `/data/…` is the gateway's, everything else Litestar's.

    The gateway stands before the router, not in it: no middleware and no look-up is on its path.
    """

    def __init__(self, control_plane: ASGIApp, gateway: PlainAsgi) -> None:
        self._control_plane = control_plane
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to whom it belongs."""
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(DATA_PREFIX):
            await self._gateway(scope, receive, send)
        else:
            await self._control_plane(scope, receive, send)


def create_product(
    installation: Installation, authenticator: Authenticator, verify: VerifyToken, workers: int = 1
) -> MountedGateway:
    """The whole product: control plane and gateway, started and stopped together.

    `workers` is how many processes share the grants' rates.
    """
    gateway = Gateway(installation, verify, workers)

    @asynccontextmanager
    async def gateway_runs(_app: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.stop()

    control_plane = create_app(installation, authenticator, ROUTERS, lifespan=[gateway_runs])
    return MountedGateway(AnswersHead(control_plane), gateway)


def serving_app() -> MountedGateway:
    """What each serving process runs: the installation that the environment names."""
    prepare_process()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    installation = open_home(load_settings())
    authenticator = AccountAuthenticator(installation)
    workers = int(os.environ.get(WORKERS_VARIABLE, "1"))
    product = create_product(installation, authenticator, authenticator.verifier.verify, workers)
    # What was made until now stays; a full collection that walks it stops all calls for 0.1 s.
    gc.collect()
    gc.freeze()
    return product
