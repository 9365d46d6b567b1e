"""The OpenAPI document at `/openapi.json` and its page at `/docs`, which needs no internet."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from app.kernel.refusals import RowNotFound

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


class Schema(JsonRenderPlugin):
    """The document, with the operations that the router cannot see (the gateway's)."""

    def __init__(self, foreign_paths: Mapping[str, Any]) -> None:
        super().__init__(path="/openapi.json")
        self._foreign_paths = foreign_paths

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        paths = {**openapi_schema.get("paths", {}), **self._foreign_paths}
        return self.render_json(request, {**openapi_schema, "paths": paths})


class DocsPage(OpenAPIRenderPlugin):
    """The page that shows the document."""

    def __init__(self) -> None:
        super().__init__(path="/docs", favicon="", style="")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """A page that fetches everything it needs from this server."""
        return PAGE


@get(
    "/docs/assets/{name:str}",
    include_in_schema=False,
    sync_to_thread=False,
    opt={"no_transaction": True},
)
def docs_asset(name: FromPath[str]) -> Response[bytes]:
    """A vendored file of the docs page."""
    if name not in ASSETS:
        raise RowNotFound("There is no such asset.")
    path, media_type = ASSETS[name]
    return Response(
        path.read_bytes(), media_type=media_type, headers={"Cache-Control": "public, max-age=3600"}
    )


def openapi_config(public_url: str, foreign_paths: Mapping[str, Any]) -> OpenAPIConfig:
    """How Litestar describes the API; `foreign_paths` are OpenAPI path items of mounted parts."""
    return OpenAPIConfig(
        title="Zhigu",
        version=version("zhigu"),
        description=DESCRIPTION,
        path="/",
        use_handler_docstrings=True,
        render_plugins=[Schema(foreign_paths), DocsPage()],
        openapi_router=Router(
            "/",
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
