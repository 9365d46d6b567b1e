"""Query parameters: a name that an operation does not know is refused, as an unknown member is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from app.http.decoding import clean_text
from app.kernel.refusals import Malformed


def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse unknown, repeated and unclean query parameters; Litestar's `before_request` hook.

    A route with `opt={"own_query": True}` reads its query by its own rules (OAuth).
    """
    handler = request.route_handler
    if not isinstance(handler, HTTPRouteHandler) or handler.opt.get("own_query"):
        return
    known = _query_names(handler)
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise Malformed(f"There is no query parameter {clean_text(name)[:60]!r} here.")
        if name in seen:
            raise Malformed(f"The query parameter {name!r} stands twice.")
        seen.add(name)
        clean_text(str(value), path=name)


@lru_cache(maxsize=1024)
def _query_names(handler: HTTPRouteHandler) -> frozenset[str]:
    fields = handler.parsed_fn_signature.parameters
    return frozenset(
        definition.name or name
        for name, field in fields.items()
        if isinstance(definition := field.kwarg_definition, QueryParameter)
    )
