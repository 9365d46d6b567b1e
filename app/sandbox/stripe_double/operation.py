"""An operation: a method, a path, the parameters it takes, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.sandbox.stripe_double.parameters import EXPAND, Spec
from app.sandbox.stripe_double.world import Call, Json, World

Handler = Callable[[World, Call], Json]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of Stripe's API; `path` has `{name}` parts."""

    method: str
    path: str
    handle: Handler
    spec: Spec


def post(path: str, handle: Handler, spec: Spec) -> Operation:
    """An operation that changes something; it takes `expand` as well."""
    return Operation("POST", path, handle, {**EXPAND, **spec})


def get(path: str, handle: Handler, spec: Spec | None = None) -> Operation:
    """An operation that only reads; it takes `expand` as well."""
    return Operation("GET", path, handle, {**EXPAND, **(spec or {})})
