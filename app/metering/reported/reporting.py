"""Reporting: use that a provider delivered elsewhere becomes events of the same kind as calls.

Each event and the note of the CloudEvent that it came from are one transaction on the usage store,
under the lock of the grant: a retry, or the same report in parallel, finds the note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.audit.recording import record
from app.db.installation import Installation
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.refusals import Outage, RowNotFound
from app.metering.reported.answers import ReportAnswer, refused, unreadable
from app.metering.reported.cloudevents import ReportedUse, Unreadable
from app.metering.reported.desk import ReportDesk
from app.metering.reported.remembering import archived_reports
from app.metering.tables import grant_state

NOT_FOUND = "There is no such contract, or it is not yours."
AT_ONCE = 100
"""Events of one grant in one transaction: calls on the same store wait for it."""
TRIES = 3
"""A provider that races itself under two contracts may be told to come again."""
NAMED_AT_MOST = 50
"""Refused events that one audit leaf names; it counts them all, and hashes them all."""


def report_use(
    installation: Installation, provider_id: str, events: Sequence[ReportedUse | Unreadable]
) -> list[ReportAnswer]:
    """Post what a provider reports; one answer for each event, in their order.

    Events that can be posted are, whatever becomes of the others. Raises `Outage` when the store
    is away: what was posted by then is found by a retry.
    """
    answers: dict[int, ReportAnswer] = {}
    by_contract: dict[str, list[tuple[int, ReportedUse]]] = {}
    for place, event in enumerate(events):
        if isinstance(event, Unreadable):
            answers[place] = unreadable(event)
        else:
            by_contract.setdefault(event.contract_id, []).append((place, event))
    grants = _own_grants(installation, provider_id, by_contract)
    for contract_id, items in by_contract.items():
        reported = [event for _, event in items]
        found = _report(installation, provider_id, grants.get(contract_id), reported)
        answers.update(zip((place for place, _ in items), found, strict=True))
    return [answers[place] for place in range(len(events))]


def record_refused(session: Session, provider_id: str, answers: Sequence[ReportAnswer]) -> None:
    """Leave in the log what a provider reported and we did not post; a retry leaves it once."""
    items = [
        {
            "source": source,
            "id": event_id,
            "outcome": answer.outcome.value,
            "problem": answer.refusal.slug,
        }
        for answer in answers
        if answer.refusal is not None
        for source, event_id in (answer.name,)
    ]
    if not items:
        return
    digest = sha256_hex(canonical(items))
    record(
        session,
        "usage:reports_refused",
        provider_id,
        organisations=(provider_id,),
        dedupe_key=f"reports-refused:{provider_id}:{digest}",
        count=len(items),
        items=items[:NAMED_AT_MOST],
        items_sha256=digest,
    )


def _own_grants(
    installation: Installation, provider_id: str, contract_ids: Iterable[str]
) -> dict[str, str]:
    """The grants of these contracts that are the provider's: a foreign one is as good as none."""
    with installation.usage_transaction(writes=False) as connection:
        rows = connection.execute(
            sa.select(grant_state.c.contract_id, grant_state.c.grant_id).where(
                grant_state.c.contract_id.in_(list(contract_ids)),
                grant_state.c.provider_id == provider_id,
            )
        )
        return {row.contract_id: row.grant_id for row in rows}


def _report(
    installation: Installation,
    provider_id: str,
    grant_id: str | None,
    events: Sequence[ReportedUse],
) -> list[ReportAnswer]:
    if grant_id is None:
        return [refused(event, RowNotFound(NOT_FOUND)) for event in events]
    answers: list[ReportAnswer] = []
    waiting = iter(events)
    while part := list(islice(waiting, AT_ONCE)):
        answers += _post_in_spite_of_others(installation, provider_id, grant_id, part)
    return answers


def _post_in_spite_of_others(
    installation: Installation, provider_id: str, grant_id: str, events: Sequence[ReportedUse]
) -> list[ReportAnswer]:
    for _ in range(TRIES):
        try:
            return _post(installation, provider_id, grant_id, events)
        except IntegrityError:
            # A name was posted under another contract meanwhile, or archived: now it is found.
            continue
    raise Outage("The same events are being reported elsewhere; try again.")


def _post(
    installation: Installation, provider_id: str, grant_id: str, events: Sequence[ReportedUse]
) -> list[ReportAnswer]:
    with installation.usage_transaction(writes=False) as connection:
        archived = archived_reports(connection, provider_id, events)
    with installation.usage_transaction() as connection:
        desk = ReportDesk(connection, grant_id, installation.clock.now_us())
        desk.remember(events, archived)
        return desk.take(events)
