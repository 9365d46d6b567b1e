"""The desk where reported events of one grant are taken in, one after the other, under its lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa

from app.kernel.clock import from_epoch_us, rfc3339
from app.kernel.ids import new_id
from app.kernel.refusals import Refusal, RowNotFound
from app.metering.errors import QuotaExhausted
from app.metering.grants import CompiledGrant, Frame, compiled_from, frame_afterwards
from app.metering.reported.answers import (
    REPORTED,
    PostedReport,
    ReportAnswer,
    ReportOutcome,
    TermsInForce,
    refuse_future,
    refuse_late,
    refuse_not_begun,
    refuse_terms_then,
    refused,
)
from app.metering.reported.cloudevents import EventName, ReportedUse
from app.metering.reported.errors import AlreadyCorrected, NotReported, ReportConflict
from app.metering.reported.remembering import (
    POSTED_REPORTS,
    known_reports,
    named_as,
    posted_report,
)
from app.metering.tables import grant_state, grant_terms, usage_report
from app.metering.tally.calls import Batch, Call, Outcome, Settled, Void
from app.metering.tally.settling_within import settle_within, void_within

DELIVERED = 200
"""The status of an event that no gateway saw: it was delivered, or it would not be reported."""
NO_SUCH_REPORT = "No event of this source and id was reported under this contract."


class ReportDesk:
    """One grant, locked until the transaction ends; its store, its terms, and what time it is."""

    def __init__(self, connection: sa.Connection, grant_id: str, now_us: int) -> None:
        """Lock the grant, which is there, and read how it stands."""
        self._connection = connection
        state = connection.execute(
            sa.select(grant_state).where(grant_state.c.grant_id == grant_id).with_for_update()
        ).one()
        self._provider_id: str = state.provider_id
        # Settled moments never fall as numbers rise: another host's clock may be ahead of ours.
        self._at_us = max(now_us, state.last_settled_at_us)
        self._now_us = now_us
        self._history = _history(connection, grant_id)
        self._grant: CompiledGrant = self._history[-1].grant
        self._known: dict[EventName, PostedReport] = {}

    def remember(
        self, events: Sequence[ReportedUse], archived: Mapping[EventName, PostedReport]
    ) -> None:
        """Look up what the provider has reported under these names before; `archived` is what was
        found of that in the archive.
        """
        self._known.update(archived)
        self._known.update(known_reports(self._connection, named_as(self._provider_id, events)))

    def take(self, events: Sequence[ReportedUse]) -> list[ReportAnswer]:
        """Post the events in their order, or say of each why not; what was reported before is
        found, not posted again. One batch for all that stand between two corrections.
        """
        answers: dict[int, ReportAnswer] = {}
        waiting: dict[EventName, tuple[int, ReportedUse]] = {}
        for place, event in enumerate(events):
            if event.corrects is not None or event.name in waiting:
                answers.update(self._post_waiting(waiting))
                waiting = {}
            answer = self._answer(event)
            if answer is None:
                waiting[event.name] = place, event
            else:
                answers[place] = answer
        answers.update(self._post_waiting(waiting))
        return [answers[place] for place in range(len(events))]

    def _answer(self, event: ReportedUse) -> ReportAnswer | None:
        """What becomes of the event; None when it is to be posted."""
        known = self._known.get(event.name)
        if known is not None:
            return _repeated(event, known)
        try:
            refuse_future(event.at_us, self._now_us)
            if self._grant.delivery != REPORTED:
                raise NotReported(
                    "The platform delivers this listing itself, and meters it.",
                    delivery=self._grant.delivery,
                )
            refuse_not_begun(self._grant, self._at_us)
            if event.corrects is not None:
                return self._posted(event, self._correct(event, event.corrects))
            refuse_late(event.at_us, self._now_us)
            refuse_terms_then(self._history, event.at_us)
        except Refusal as refusal:
            return refused(event, refusal)
        return None

    def _posted(self, event: ReportedUse, posted: PostedReport) -> ReportAnswer:
        self._known[event.name] = posted
        return ReportAnswer(event, ReportOutcome.POSTED, posted)

    def _post_waiting(
        self, waiting: Mapping[EventName, tuple[int, ReportedUse]]
    ) -> Iterator[tuple[int, ReportAnswer]]:
        """The waiting events' answers by their places; all of them are settled in one batch."""
        events = [event for _, event in waiting.values()]
        results = self._post(events)
        for (place, event), result in zip(waiting.values(), results, strict=True):
            if isinstance(result, Refusal):
                yield place, refused(event, result)
            else:
                yield place, self._posted(event, result)

    def _correct(self, event: ReportedUse, name: EventName) -> PostedReport:
        """Take the earlier event back and post this one in its place: both, or neither."""
        earlier = self._find(name)
        if earlier is None:
            raise RowNotFound(NO_SUCH_REPORT)
        refuse_late(earlier.occurred_at_us, self._now_us)
        with self._connection.begin_nested():
            taken = void_within(
                self._connection,
                Void(
                    self._grant.grant_id,
                    earlier.event_id,
                    new_id("evt"),
                    self._at_us,
                    DELIVERED,
                    counts_at_us=earlier.counts_at_us,
                ),
            )
            if taken.outcome is not Outcome.VOIDED:
                raise self._already_corrected(earlier)
            (result,) = self._post([event], earlier)
            if isinstance(result, Refusal):
                raise result
            return result

    def _post(
        self, events: Sequence[ReportedUse], corrected: PostedReport | None = None
    ) -> list[PostedReport | Refusal]:
        """Settle the events in one batch, in the place of the one that was `corrected`, and note
        each that was posted beside its usage event.
        """
        if not events:
            return []
        counts_at_us = None if corrected is None else corrected.counts_at_us
        frame = frame_afterwards(self._grant, self._at_us, counts_at_us)
        calls = tuple(self._call(frame, event) for event in events)
        batch = Batch(calls, afterwards=True, counts_at_us=counts_at_us)
        results: list[PostedReport | Refusal] = []
        for event, settled in zip(events, settle_within(self._connection, batch), strict=True):
            if settled.outcome is Outcome.OVER_LIMIT:
                results.append(_exhausted(self._grant, frame, settled, event.units))
                continue
            # The grant is locked and its terms and windows are of this moment: no other is left.
            assert settled.outcome is Outcome.POSTED, settled.outcome
            results.append(_report_of(self._grant, settled, event, corrected))
        self._note(
            (event.name, result)
            for event, result in zip(events, results, strict=True)
            if isinstance(result, PostedReport)
        )
        return results

    def _call(self, frame: Frame, event: ReportedUse) -> Call:
        return Call(
            frame=frame,
            event_id=new_id("evt"),
            at_us=self._at_us,
            units=event.units,
            operation=event.operation,
            status=DELIVERED,
            bytes=0,
            request_sha256=event.content_sha256,
        )

    def _note(self, posted: Iterable[tuple[EventName, PostedReport]]) -> None:
        notes = [
            {
                "grant_id": report.grant_id,
                "number": report.number,
                "provider_id": self._provider_id,
                "source": name.source,
                "source_id": name.id,
                "occurred_at_us": report.occurred_at_us,
                "counts_at_us": report.counts_at_us,
                "corrects": report.corrects,
            }
            for name, report in posted
        ]
        if notes:
            self._connection.execute(sa.insert(usage_report), notes)

    def _find(self, name: EventName) -> PostedReport | None:
        row = self._connection.execute(
            POSTED_REPORTS.where(
                usage_report.c.grant_id == self._grant.grant_id,
                usage_report.c.provider_id == self._provider_id,
                usage_report.c.source == name.source,
                usage_report.c.source_id == name.id,
            )
        ).one_or_none()
        return None if row is None else posted_report(row)

    def _already_corrected(self, earlier: PostedReport) -> AlreadyCorrected:
        by = self._connection.execute(
            sa.select(usage_report.c.source, usage_report.c.source_id).where(
                usage_report.c.grant_id == earlier.grant_id,
                usage_report.c.corrects == earlier.number,
            )
        ).one()
        return AlreadyCorrected(
            "Another event has taken its place: correct that one.",
            source=by.source,
            id=by.source_id,
        )


def _history(connection: sa.Connection, grant_id: str) -> list[TermsInForce]:
    rows = connection.execute(
        sa.select(grant_terms.c.applied_at_us, grant_terms.c.compiled)
        .where(grant_terms.c.grant_id == grant_id)
        .order_by(grant_terms.c.epoch)
    )
    return [TermsInForce(row.applied_at_us, compiled_from(row.compiled)) for row in rows]


def _report_of(
    grant: CompiledGrant,
    settled: Settled,
    event: ReportedUse,
    corrected: PostedReport | None,
) -> PostedReport:
    return PostedReport(
        grant_id=grant.grant_id,
        event_id=settled.event_id,
        number=settled.number,
        units=event.units,
        settled_at_us=settled.settled_at_us,
        occurred_at_us=corrected.occurred_at_us if corrected else event.at_us,
        counts_at_us=corrected.counts_at_us if corrected else settled.settled_at_us,
        corrects=corrected.number if corrected else None,
        content_sha256=event.content_sha256,
    )


def _repeated(event: ReportedUse, known: PostedReport) -> ReportAnswer:
    if known.content_sha256 == event.content_sha256:
        return ReportAnswer(event, ReportOutcome.DUPLICATE, known)
    conflict = ReportConflict(
        "This source and id have said something else before: correct that event instead."
    )
    return ReportAnswer(event, ReportOutcome.CONFLICT, known, conflict)


def _exhausted(grant: CompiledGrant, frame: Frame, settled: Settled, units: int) -> QuotaExhausted:
    return QuotaExhausted(
        "The quota of the contract has no room for these units.",
        contract_id=grant.contract_id,
        windows=[
            {
                "window": counter.key.kind,
                "limit_units": counter.limit_units,
                "used_units": used,
                "ends_at": rfc3339(from_epoch_us(counter.ends_at_us)),
            }
            for counter, used in zip(frame.counters, settled.used_units, strict=True)
            if counter.limit_units is not None and used + units > counter.limit_units
        ],
    )
