"""The OpenAPI document at `/openapi.json` and its page at `/docs`, which needs no internet."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme
from litestar.params import FromPath

from app.http.describing import JSON, describe_api
from app.http.documented import ApiParts
from app.kernel.refusals import RowNotFound

NO_TRANSACTION = {"no_transaction": True}
STATIC = Path(__file__).parent / "static"
ASSETS: Mapping[str, tuple[Path, str]] = {
    "swagger-ui-bundle.js": (STATIC / "vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (STATIC / "vendor/swagger-ui/swagger-ui.css", "text/css"),
    "start.js": (STATIC / "start.js", "text/javascript"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Zhigu API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<main id="docs"></main>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""
DESCRIPTION = """
Zhigu (智谷) is the backend of a paid-use data alliance: providers list data with licence terms and
prices, buyers sign contracts, every call is admitted and metered, and money is settled.

Times are RFC 3339 in UTC. Money is `{amount_minor, currency}`. Requests are read strictly: members
and query parameters that are not described here are refused. Errors are problem documents
(RFC 9457) whose `type` is `urn:zhigu:problem:<slug>`; every answer carries `X-Request-Id`. Every
POST honours `Idempotency-Key` for 24 hours. Get an access token from `POST /oauth/token`.
"""


class DocsPage(OpenAPIRenderPlugin):
    """The page that shows the document."""

    def __init__(self) -> None:
        super().__init__(path="/", favicon="", style="")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """A page that fetches everything it needs from this server."""
        return PAGE


def schema_handler(parts: ApiParts) -> HTTPRouteHandler:
    """The handler of `/openapi.json`; the document is made once, when it is first asked for."""
    made: list[bytes] = []

    @get("/openapi.json", include_in_schema=False, sync_to_thread=True, opt=NO_TRANSACTION)
    def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The OpenAPI 3.1 document."""
        if not made:
            schema = request.app.openapi_schema.to_schema()
            document = describe_api(schema, request.app.routes, parts)
            made.append(OpenAPIRenderPlugin.render_json(request, document))
        return Response(made[0], media_type=JSON)

    return openapi_json


@get(
    "/assets/{name:str}",
    include_in_schema=False,
    sync_to_thread=False,
    opt=NO_TRANSACTION,
)
def docs_asset(name: FromPath[str]) -> Response[bytes]:
    """A vendored file of the docs page."""
    if name not in ASSETS:
        raise RowNotFound("There is no such asset.")
    path, media_type = ASSETS[name]
    return Response(
        path.read_bytes(), media_type=media_type, headers={"Cache-Control": "public, max-age=3600"}
    )


def openapi_config(scopes: Mapping[str, str]) -> OpenAPIConfig:
    """How Litestar describes the API, and where its page is."""
    return OpenAPIConfig(
        title="Zhigu",
        version=version("zhigu"),
        description=DESCRIPTION,
        path="/docs",
        use_handler_docstrings=True,
        render_plugins=[DocsPage()],
        openapi_router=Router(
            "/docs",
            route_handlers=[docs_asset],
            include_in_schema=False,
            response_headers=[ResponseHeader(name="content-security-policy", value=POLICY)],
        ),
        components=Components(security_schemes={"oauth2": _oauth2(scopes)}),
    )


TOKEN_URL = "/oauth/token"  # noqa: S105 - an address


def _oauth2(scopes: Mapping[str, str]) -> SecurityScheme:
    """How to come by a token: a program by its secret, a person's client by a code with PKCE."""
    offered = dict(scopes)
    return SecurityScheme(
        type="oauth2",
        description="An access token, a JWT of ten minutes, sent as `Authorization: Bearer …`.",
        flows=OAuthFlows(
            client_credentials=OAuthFlow(token_url=TOKEN_URL, scopes=offered),
            authorization_code=OAuthFlow(
                authorization_url="/oauth/authorize",
                token_url=TOKEN_URL,
                scopes=offered,
            ),
        ),
    )
