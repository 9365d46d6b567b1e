"""Compiled grants for tests, with the fields that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.kernel.clock import SHANGHAI, epoch_us
from app.metering.units.unit_grants import GrantedUnits

BUYER = "org_buyer"
PROVIDER = "org_provider"


def local_us(text: str) -> int:
    """`2026-11-02 09:00:00` in Asia/Shanghai as epoch microseconds."""
    return epoch_us(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))


def local_text(us: int) -> str:
    """The Asia/Shanghai day of a moment."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(SHANGHAI).date().isoformat()


def quota(window: str, limit: int | None, overage: str = "block", name: str = "") -> dict[str, Any]:
    return {
        "name": name or f"quota-{window}",
        "window": window,
        "limit_units": limit,
        "overage": overage,
    }


def grant_document(grant_id: str = "grt_one", **changes: Any) -> dict[str, Any]:
    """A live hosted grant from 2026-11-01 to 2027-10-31 with the given changes."""
    return {
        "grant_id": grant_id,
        "contract_id": f"ctr_of_{grant_id}",
        "listing_id": "lst_one",
        "slug": "world-gdp",
        "version_id": "ver_one",
        "buyer_id": BUYER,
        "provider_id": PROVIDER,
        "plan_id": "pln_one",
        "terms_sha256": "a" * 64,
        "epoch": 1,
        "live": True,
        "reason": None,
        "starts_at_us": local_us("2026-11-01 00:00:00"),
        "ends_at_us": local_us("2027-11-01 00:00:00"),
        "delivery": "hosted",
        "purpose": "RESEARCH",
        "purposes_allowed": ["RESEARCH"],
        "channels_allowed": ["hosted"],
        "columns": None,
        "row_filter": None,
        "meter": "call",
        "billable_statuses": None,
        "windows": [],
        "rate": None,
        "file": None,
        "upstream": None,
        **changes,
    }


def granted_units(
    name: str, amount: int, starts_at_us: int, ends_at_us: int, **changes: Any
) -> GrantedUnits:
    """A top-up of calls that burns at the usual priority, with the given changes."""
    values: dict[str, Any] = {
        "unit_grant_id": name,
        "kind": "top_up",
        "meter": "call",
        "priority": 128,
        "amount_units": amount,
        "starts_at_us": starts_at_us,
        "ends_at_us": ends_at_us,
        "granted_at_us": 1,
    }
    return GrantedUnits(**{**values, **changes})
