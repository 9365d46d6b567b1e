"""Shapes of notices in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.http.examples import LATER, MOMENT, example_id, looks_like
from app.http.schemas import View
from app.notices.models import Notice


@looks_like(
    id=example_id("ntc"),
    kind="usage.window_filling",
    told_at=MOMENT,
    read_at=None,
    facts={
        "grant_id": example_id("grt"),
        "listing_id": example_id("lst"),
        "window": "month",
        "meter": "call",
        "limit_units": 10_000,
        "used_units": 8012,
        "percent": 80,
        "overage": "block",
        "starts_at": MOMENT,
        "ends_at": LATER,
    },
)
class NoticeView(View):
    """Something that your organisation was told; `kind` says what `facts` holds.

    `usage.window_filling` and `usage.window_exhausted`: a quota of contract `subject` has reached
    80 or 100 per cent of its limit; with `overage` `block` nothing beyond it is served, with
    `charge` it is billed. Both sides are told, once for each window and limit.
    """

    id: str
    kind: str
    subject: str
    facts: dict[str, Any]
    told_at: datetime
    read_at: datetime | None


def notice_view(notice: Notice) -> NoticeView:
    """A notice as it goes on the wire."""
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        subject=notice.subject_id,
        facts=notice.facts,
        told_at=notice.told_at,
        read_at=notice.read_at,
    )
