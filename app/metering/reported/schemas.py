"""Shapes of reported use in the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from app.http.examples import MOMENT, example_id, looks_like
from app.http.problems import TYPE_PREFIX
from app.http.schemas import Body, JsonObject, View
from app.kernel.clock import from_epoch_us
from app.kernel.refusals import Refusal
from app.metering.reported.answers import ReportAnswer, ReportOutcome
from app.metering.reported.cloudevents import MAX_NAME, MAX_UNITS

SOURCE = "https://data.provider.example/deliveries"
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


class CorrectedName(Body):
    """Which event is corrected; `source` is the correcting event's own when it is left out."""

    id: Name
    source: Name | None = None


@looks_like(units=250)
class ReportedData(Body):
    """What was used, in units of the plan's meter; `corrects` in a correction only, and then
    `units` may be 0.
    """

    units: Annotated[int, Meta(ge=0, le=MAX_UNITS)]
    operation: Annotated[str, Meta(max_length=10)] | None = None
    corrects: CorrectedName | None = None


@looks_like(source=SOURCE, id="delivery-2026-11-02-0001", subject=example_id("ctr"), time=MOMENT)
class UsageCloudEvent(Body):
    """A CloudEvent 1.0 that reports use: `subject` is the contract, `time` when the use happened.

    Extension attributes may stand beside these; they are not kept.
    """

    specversion: Literal["1.0"]
    type: Literal["cn.zhigu.usage.reported", "cn.zhigu.usage.corrected"]
    source: Name
    id: Name
    subject: str
    time: datetime
    data: ReportedData
    datacontenttype: str | None = None
    dataschema: str | None = None


@looks_like(index=0, source=SOURCE, id="delivery-2026-11-02-0001", number=1)
class ReportView(View):
    """What became of one event. `posted` and `duplicate` name the usage event that speaks for it,
    `conflict` and `refused` say why nothing was posted, as a problem.
    """

    index: int
    source: str | None
    id: str | None
    status: Literal["posted", "duplicate", "conflict", "refused"]
    event_id: str | None
    number: int | None
    units: int | None
    settled_at: datetime | None
    occurred_at: datetime | None
    corrects: int | None
    problem: JsonObject | None


@looks_like(posted=1, duplicate=0, conflict=0, refused=0)
class ReportsView(View):
    """One answer for each event, in their order, and how many there are of each status."""

    items: list[ReportView]
    posted: int
    duplicate: int
    conflict: int
    refused: int


def reports_view(answers: Sequence[ReportAnswer]) -> ReportsView:
    """The answers as they go on the wire."""
    counted = Counter(answer.outcome for answer in answers)
    return ReportsView(
        items=[_report(index, answer) for index, answer in enumerate(answers)],
        posted=counted[ReportOutcome.POSTED],
        duplicate=counted[ReportOutcome.DUPLICATE],
        conflict=counted[ReportOutcome.CONFLICT],
        refused=counted[ReportOutcome.REFUSED],
    )


def _report(index: int, answer: ReportAnswer) -> ReportView:
    posted, (source, event_id) = answer.posted, answer.name
    return ReportView(
        index=index,
        source=source,
        id=event_id,
        status=answer.outcome.value,
        event_id=None if posted is None else posted.event_id,
        number=None if posted is None else posted.number,
        units=None if posted is None else posted.units,
        settled_at=None if posted is None else from_epoch_us(posted.settled_at_us),
        occurred_at=None if posted is None else from_epoch_us(posted.occurred_at_us),
        corrects=None if posted is None else posted.corrects,
        problem=None if answer.refusal is None else _problem(answer.refusal),
    )


def _problem(refusal: Refusal) -> dict[str, Any]:
    """A refusal as a problem document (RFC 9457) of one event."""
    return {
        **refusal.facts,
        "type": TYPE_PREFIX + refusal.slug,
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
    }
