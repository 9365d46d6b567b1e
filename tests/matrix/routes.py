"""The route table as the matrices read it: every operation that the application answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.utils.sync import AsyncCallable

from app.http.guarding import Needs
from app.metering.gateway.describing import GATEWAY_PATHS
from tests.stage import the_stage

# Litestar's own handlers: the answer to OPTIONS, and the pages around the document.
FRAMEWORK = ("litestar.",)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `scopes`: None for anyone, empty for anyone who is signed in."""

    method: str
    path: str
    scopes: frozenset[str] | None
    in_schema: bool
    path_parameters: Mapping[str, type]
    body: Any
    options: Mapping[str, Any]
    answer: Any = None

    @property
    def name(self) -> str:
        """`POST /api/v1/listings`."""
        return f"{self.method} {self.path}"

    @property
    def takes_json(self) -> bool:
        """Whether it reads a JSON body."""
        return self.body is not None

    def at(self, **values: object) -> str:
        """The path with its parameters filled in, as they are to stand in the URL."""
        return re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]).lstrip("/"), self.path)


@cache
def operations() -> Mapping[str, Operation]:
    """Every operation by its name, of the application."""
    every = (*operations_of(the_stage().app), *operations_of_gateway())
    return {operation.name: operation for operation in every}


def operations_of_gateway() -> Iterator[Operation]:
    """What the gateway answers: it stands before the router, and describes itself."""
    for path, item in GATEWAY_PATHS.items():
        for method, described in item.items():
            asked = [scope for one in described["security"] for scope in one["oauth2"]]
            in_path = dict.fromkeys(re.findall(r"\{(\w+)\}", path), str)
            if "path" in in_path:
                in_path["path"] = Path
            # It reads its query by its own grammar, and looks for a contract before.
            options = {"own_query": True}
            yield Operation(method.upper(), path, frozenset(asked), True, in_path, None, options)


def operations_of(app: Litestar) -> Iterator[Operation]:
    """The operations of `app`, by path and method.

    A mounted application has rows of its own under the method `*`: the router does not see into it.
    """
    for route in sorted(app.routes, key=lambda route: route.path_format):
        if not isinstance(route, HTTPRoute):
            yield Operation("*", route.path_format, None, False, {}, None, {})
            continue
        parameters = {name: one.type for name, one in route.path_parameters.items()}
        for handler in route.route_handlers:
            if _is_framework(handler):
                continue
            for method in sorted(handler.http_methods):
                yield Operation(
                    method,
                    route.path_format,
                    _scopes(handler),
                    handler.resolve_include_in_schema(),
                    parameters,
                    _json_body(handler),
                    handler.opt,
                    _answer(handler),
                )


def _is_framework(handler: HTTPRouteHandler) -> bool:
    function = handler.fn.func if isinstance(handler.fn, AsyncCallable) else handler.fn
    return function.__module__.startswith(FRAMEWORK)


def _scopes(handler: HTTPRouteHandler) -> frozenset[str] | None:
    """What the one guard asks for; a guard of another kind would be a policy that no table shows"""
    guards = [
        guard.func if isinstance(guard, AsyncCallable) else guard
        for guard in handler.resolve_guards()
    ]
    assert all(isinstance(guard, Needs) for guard in guards), f"{handler} has a strange guard"
    assert len(guards) <= 1, f"{handler} has more than one guard"
    return guards[0].scopes if guards else None


def _json_body(handler: HTTPRouteHandler) -> Any:
    """The type of the JSON body; None without one, or for a form, which is read otherwise."""
    field = handler.parsed_data_field
    if field is None or handler.resolve_data_dto() is None:
        return None
    return field.annotation


def _answer(handler: HTTPRouteHandler) -> Any:
    """The struct, or list of them, that it answers; None for what has no type."""
    field = handler.parsed_fn_signature.return_type
    if field.is_subclass_of(Response):
        field = field.inner_types[0]
    return None if field.annotation in (bytes, str) else field.annotation
