"""Reports over HTTP for tests: a provider that delivers elsewhere, and what it says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from httpx import Response

from app.metering.reported.cloudevents import CORRECTED, REPORTED
from tests.conftest import Caller

PATH = "/api/v1/usage/reports"
SOURCE = "/deliveries"
BATCHED = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
DELIVERED = {"delivery": "reported", "channels_allowed": ["reported"]}
"""What a grant says of a listing whose use is reported."""


def report(event_id: str, units: int, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": REPORTED,
        "source": SOURCE,
        "id": event_id,
        "subject": "ctr_of_grt_one",
        "time": "2026-11-02T00:30:00Z",
        "data": {"units": units},
        **changes,
    }


def correction(event_id: str, units: int, earlier: str, **changes: Any) -> dict[str, Any]:
    data = {"units": units, "corrects": {"id": earlier}}
    return report(event_id, units, **{"type": CORRECTED, "data": data, **changes})


def send(caller: Caller, *events: Any, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(list(events))
    return caller.post(PATH, content=content, headers={"Content-Type": BATCHED, **(headers or {})})


def items(answer: Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def statuses(answer: Response) -> list[str]:
    """Each event's status, and the problem's slug where there is one."""
    return [
        f"{item['status']}:{item['problem']['type'].rpartition(':')[2]}"
        if item["problem"]
        else item["status"]
        for item in items(answer)
    ]
