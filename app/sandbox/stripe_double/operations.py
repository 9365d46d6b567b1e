"""Operations: everything of Stripe's API that the double answers, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.sandbox.stripe_double import (
    accounts,
    balances,
    charges,
    checkout,
    customers,
    disputes,
    payment_intents,
    payouts,
    refunds,
    transfers,
)
from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import Operation, get
from app.sandbox.stripe_double.parameters import LISTED, TEXT, list_of
from app.sandbox.stripe_double.refusals import StripeRefusal
from app.sandbox.stripe_double.world import Call, Json, World


def _retrieve_event(world: World, call: Call) -> Json:
    return world.find("event", call.path["id"], call.account)


def _list_events(world: World, call: Call) -> Json:
    kinds = {call.params["type"]} if "type" in call.params else set(call.params.get("types", ()))
    return page(
        world, call, "event", "/v1/events", lambda event: not kinds or event["type"] in kinds
    )


OPERATIONS: tuple[Operation, ...] = (
    *accounts.OPERATIONS,
    *balances.OPERATIONS,
    *charges.OPERATIONS,
    *checkout.OPERATIONS,
    *customers.OPERATIONS,
    *disputes.OPERATIONS,
    *payment_intents.OPERATIONS,
    *payouts.OPERATIONS,
    *refunds.OPERATIONS,
    *transfers.OPERATIONS,
    get("/v1/events/{id}", _retrieve_event),
    get("/v1/events", _list_events, {**LISTED, "type": TEXT, "types": list_of(TEXT)}),
)


def operation_at(method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
    """The operation at a path, and what stands in its `{}`; raises Stripe's 404."""
    for operation, pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match and operation.method == method:
            return operation, match.groupdict()
    raise StripeRefusal(
        404, "invalid_request_error", f"Unrecognized request URL ({method}: {path})."
    )


_PATTERNS = [
    (operation, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.path)))
    for operation in OPERATIONS
]
