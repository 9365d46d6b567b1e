"""Calls for tests of the tally."""

from __future__ import annotations

import hashlib
from typing import Any

from app.kernel.ids import new_id
from app.metering.grants import CompiledGrant, compiled_from, frame_at
from app.metering.tally.calls import Call
from tests.metering.grant_documents import grant_document, local_us

NOON_US = local_us("2026-11-02 12:00:00")
REQUEST = hashlib.sha256(b"request").hexdigest()


def call_on(grant: CompiledGrant | None = None, at_us: int = NOON_US, **changes: Any) -> Call:
    """A call of one unit; `grant` is the one of `grant_document()` when it is not given."""
    grant = grant or compiled_from(grant_document())
    values: dict[str, Any] = {
        "frame": frame_at(grant, at_us),
        "event_id": new_id("evt"),
        "at_us": at_us,
        "units": 1,
        "operation": "rows",
        "status": 200,
        "bytes": 100,
        "request_sha256": REQUEST,
    }
    return Call(**{**values, **changes})
