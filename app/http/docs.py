"""The OpenAPI document at `/openapi.json` and its page at `/docs`, which needs no internet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath
from litestar.routes import BaseRoute, HTTPRoute

from app.kernel.refusals import RowNotFound

NO_TRANSACTION = {"no_transaction": True}
JSON = "application/json"
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

Times are RFC 3339 in UTC. Money is `{amount_minor, currency}`. Errors are problem documents
(RFC 9457) whose `type` is `urn:zhigu:problem:<slug>`. Every POST honours `Idempotency-Key` for
24 hours. Get an access token from `POST /oauth/token`.
"""


class DocsPage(OpenAPIRenderPlugin):
    """The page that shows the document."""

    def __init__(self) -> None:
        super().__init__(path="/", favicon="", style="")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """A page that fetches everything it needs from this server."""
        return PAGE


def schema_handler(foreign_paths: Mapping[str, Any]) -> HTTPRouteHandler:
    """The handler of `/openapi.json`; `foreign_paths` are path items of what no router sees."""

    @get("/openapi.json", include_in_schema=False, sync_to_thread=False, opt=NO_TRANSACTION)
    def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The OpenAPI 3.1 document."""
        schema = request.app.openapi_schema.to_schema()
        _open_the_public(schema["paths"], request.app.routes)
        document = {**schema, "paths": {**schema["paths"], **foreign_paths}}
        return Response(OpenAPIRenderPlugin.render_json(request, document), media_type=JSON)

    return openapi_json


def _open_the_public(paths: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Say that what no guard stands before needs no token; Litestar drops a `security=[]`."""
    for route in routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            for method in () if handler.resolve_guards() else handler.http_methods:
                operation = paths.get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    operation["security"] = []


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


def openapi_config(public_url: str) -> OpenAPIConfig:
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
        components=Components(
            security_schemes={
                "oauth2": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description=f"An access token from {public_url}/oauth/token.",
                )
            }
        ),
        security=[{"oauth2": []}],
    )
