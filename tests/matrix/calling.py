"""Calling: a request for an operation, about given rows or about rows that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.kernel.ids import new_id
from tests.conftest import Caller
from tests.matrix.examples import BODIES, QUERIES
from tests.matrix.routes import Operation

KINDS = {
    "organisation_id": "org",
    "listing_id": "lst",
    "plan_id": "pln",
    "client_id": "cli",
    "person_id": "usr",
    "key_id": "key",
    "seat_id": "seat",
    "delegation_id": "dlg",
    "domain": "org",
    "negotiation_id": "neg",
    "notice_id": "ntc",
    "contract_id": "ctr",
    "invoice_id": "inv",
    "payment_id": "pay",
    "payout_id": "pyo",
    "transfer_id": "trf",
    "event_id": "evt",
    "any_id": "ctr",
}
"""What kind of id stands in a path under each name."""


def call(caller: Caller, operation: Operation, values: Mapping[str, str], **options: Any) -> Any:
    """A well-formed request; `options` take the place of the example's body or query."""
    options.setdefault("params", dict(QUERIES.get(operation.name, {})))
    if operation.takes_json and "content" not in options:
        options["json"] = BODIES[operation.name]
    return caller.request(operation.method, operation.at(**values), **options)


def missing_ids(operation: Operation) -> dict[str, str]:
    """Well-formed values for the path, of rows that do not exist."""
    return {name: _missing(name, kind) for name, kind in operation.path_parameters.items()}


def problem(answer: Any, label: str) -> dict[str, Any]:
    """The problem document, but for what names this one request."""
    assert answer.headers["content-type"] == "application/problem+json", f"{label}: {answer.text}"
    document: dict[str, Any] = answer.json()
    del document["request_id"]
    return document


def _missing(name: str, kind: type) -> str:
    if kind is int:
        return "1000000"
    if kind is Path:
        return "0/999"
    if name == "period":
        return "2026-10"
    return new_id(KINDS[name]) if name in KINDS else "nothing"
