"""Reported use over HTTP: CloudEvents in each of the three forms of their HTTP binding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from sqlmodel import Session

from app.db.installation import Installation
from app.http.decoding import parse_json
from app.http.documented import Documented, Sample
from app.http.examples import MOMENT, example_id
from app.http.guarding import needs
from app.http.problems import TooLarge, UnsupportedMediaType
from app.kernel.actor import Actor
from app.kernel.refusals import Malformed
from app.metering.reported.cloudevents import (
    CORRECTED,
    JSON_TYPE,
    REPORTED,
    ReportedUse,
    Unreadable,
    read_binary,
    read_event,
)
from app.metering.reported.reporting import record_refused, report_use
from app.metering.reported.schemas import (
    SOURCE,
    ReportedData,
    ReportsView,
    UsageCloudEvent,
    reports_view,
)

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
MAX_EVENTS = 1_000
BINARY_HEADERS = ("specversion", "type", "source", "id", "subject", "time")

REPORT: Mapping[str, Any] = {
    "specversion": "1.0",
    "type": REPORTED,
    "source": SOURCE,
    "id": "delivery-2026-11-02-0001",
    "subject": example_id("ctr"),
    "time": MOMENT,
    "datacontenttype": JSON_TYPE,
    "data": {"units": 250, "operation": "delivery"},
}
CORRECTION = {
    **REPORT,
    "type": CORRECTED,
    "id": "correction-2026-11-03-0001",
    "time": "2026-11-03T01:00:00Z",
    "data": {"units": 240, "corrects": {"id": REPORT["id"]}},
}
REPORTS = Documented(
    takes={
        STRUCTURED: Sample(REPORT, UsageCloudEvent),
        BATCHED: Sample([REPORT, CORRECTION], list[UsageCloudEvent]),
        JSON_TYPE: Sample(REPORT["data"], ReportedData),
    },
    asks={
        f"ce-{name}": (f"In binary mode, the attribute `{name}`, percent-encoded.", REPORT[name])
        for name in BINARY_HEADERS
    },
    refuses=(Malformed, TooLarge, UnsupportedMediaType),
)


@post(
    "/api/v1/usage/reports",
    status_code=200,
    sync_to_thread=True,
    guards=[needs("usage:write")],
    tags=["Usage"],
    opt={"documented": REPORTS},
)
def post_reports(
    request: Request[Any, Any, Any],
    body: RawBody,
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> ReportsView:
    """Report use that you delivered outside the platform, as CloudEvents 1.0.

    For contracts on listings of `delivery: reported`, by their provider. One event in structured
    mode, up to 1,000 in batched mode, or one in binary mode: headers `ce-…` and the data as
    `application/json`. `type` is `cn.zhigu.usage.reported`, or `cn.zhigu.usage.corrected` for an
    event that takes the place of an earlier one and names it in `data.corrects`; `subject` is the
    contract's id and `time` is when the use happened.

    Answers 200 with one result for each event, in their order, whatever became of it: `posted`
    (counted and on disk), `duplicate` (this source and id said the same before: the first usage
    event is named, nothing is counted twice), `conflict` (they said something else before) or
    `refused`, with a problem. So a report may be repeated until every event is answered.

    Use is refused when it lies more than 90 days back (`usage-too-late`) or 5 minutes ahead
    (`usage-in-future`), when the contract was not in force then (`grant-not-live`), when a blocking
    quota has no room (`quota-exhausted`), and for a contract that is unknown or another provider's
    (`not-found`). It counts in the windows, and is on the invoice, of the moment when it is
    settled; use of a month that is closed becomes a line of its own on the next invoice. So does
    use that is told of after the contract was suspended or had ended, if it happened before.
    """
    assert actor.organisation_id is not None, "a token of this scope is an organisation's"
    answers = report_use(installation, actor.organisation_id, _read(request, body))
    record_refused(session, actor.organisation_id, answers)
    return reports_view(answers)


def _read(request: Request[Any, Any, Any], body: bytes) -> list[ReportedUse | Unreadable]:
    """The events in the form that the media type says."""
    headers = _single(request.scope["headers"])
    kind = _media_type(headers.get("content-type", ""))
    if kind == STRUCTURED:
        return [read_event(parse_json(body))]
    if kind == BATCHED:
        events = parse_json(body)
        if not isinstance(events, list):
            raise Malformed("A batch is a JSON array of events.")
        if len(events) > MAX_EVENTS:
            raise Malformed(f"A batch holds {MAX_EVENTS} events at most.")
        return [read_event(event) for event in events]
    if kind == JSON_TYPE and "ce-specversion" in headers:
        return [read_binary(headers, parse_json(body))]
    raise UnsupportedMediaType(
        f"Send {STRUCTURED}, {BATCHED}, or {JSON_TYPE} with the headers of binary mode.",
        accepted=[STRUCTURED, BATCHED, JSON_TYPE],
    )


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """What says which event it is, by lower-case name; one that stands twice says two things."""
    found: dict[str, str] = {}
    for raw_name, value in headers:
        name = raw_name.decode("latin-1").lower()
        if name != "content-type" and not name.startswith("ce-"):
            continue
        if name in found:
            raise Malformed(f"Send the header {name} once.")
        found[name] = value.decode("latin-1")
    return found


def _media_type(content_type: str) -> str:
    kind, _, rest = content_type.partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType("JSON is sent in UTF-8.", accepted=["utf-8"])
    return kind.strip().lower()
