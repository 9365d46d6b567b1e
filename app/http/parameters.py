"""Parameters: what a query or a path cannot mean is refused before any handler reads it.

A query parameter that an operation does not know is refused, as an unknown member is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args
from weakref import WeakKeyDictionary

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from app.http.decoding import clean_text
from app.kernel.refusals import Malformed, RowNotFound

# Weak: a handler leads to its whole application, which nothing here should keep.
_KINDS: WeakKeyDictionary[HTTPRouteHandler, Mapping[str, bool]] = WeakKeyDictionary()

_WHOLE = re.compile(r"-?[0-9]{1,30}", re.ASCII)


def check_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse what no handler should read; Litestar's `before_request` hook."""
    _check_path(request)
    _check_query(request)


def _check_path(request: Request[Any, Any, Any]) -> None:
    """No row is named by what cannot be printed; PostgreSQL even fails to look for a NUL."""
    for value in request.path_params.values():
        if isinstance(value, str) and not value.isprintable():
            raise RowNotFound("There is no such thing, or it is not yours.")


def _check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse unknown, repeated and unclean query parameters.

    A route with `opt={"own_query": True}` reads its query by its own rules (OAuth).
    """
    handler = request.route_handler
    if not isinstance(handler, HTTPRouteHandler) or handler.opt.get("own_query"):
        return
    known = _KINDS.get(handler)
    if known is None:
        known = _KINDS[handler] = _query_kinds(handler)
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise Malformed(f"There is no query parameter {clean_text(name)[:60]!r} here.")
        if name in seen:
            raise Malformed(f"The query parameter {name!r} stands twice.")
        seen.add(name)
        clean_text(str(value), path=name)
        # Litestar alone would take 1e3 for a thousand.
        if known[name] and not _WHOLE.fullmatch(str(value)):
            raise Malformed(f"The query parameter {name!r} is a whole number in digits.", path=name)


def _query_kinds(handler: HTTPRouteHandler) -> Mapping[str, bool]:
    """The parameters of the handler and of what it depends on; True for those that are numbers."""
    dependencies = handler.resolve_dependencies().values()
    signatures = [handler.parsed_fn_signature, *(one.parsed_fn_signature for one in dependencies)]
    return {
        definition.name or name: int in (field.annotation, *get_args(field.annotation))
        for signature in signatures
        for name, field in signature.parameters.items()
        if isinstance(definition := field.kwarg_definition, QueryParameter)
    }
