"""Closing: counted use becomes invoices, month by month, or at once where a contract ends.

Two stores, and no transaction over both: a month is closed in the usage store first, as a range of
numbers that never changes, then drawn in the market store. Whatever dies in between, closing again
finds the same range and draws what was not drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from app.audit.recording import record
from app.billing.billed import (
    OpenContract,
    contracts_to_bill,
    load_contracts,
)
from app.billing.errors import PeriodOpen
from app.billing.invoices.drawing import draw_invoices
from app.billing.invoices.months import BilledContract, ContractMonth, EventRange
from app.billing.models import ClosingState, PeriodClosing
from app.billing.periods import Period, parse_period, period_of
from app.contracts.ending import note_invoiced
from app.contracts.models import Contract
from app.contracts.states import LIVING
from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.actor import job_actor
from app.kernel.clock import epoch_us
from app.kernel.refusals import Outage
from app.metering import tasks as metering_tasks
from app.metering.granting import load_grant
from app.metering.history.closing import close_ranges, grants_with_open_use
from app.metering.reported.late_use import grants_to_be_told_of, grants_with_reports, late_units

CLOSE = "period.close"
ENDED = "contract.ended"
ACTOR = job_actor(CLOSE)


def request_closing(session: Session, text: str) -> PeriodClosing:
    """Ask for a month to be closed; refuses with `PeriodOpen` one that is not over.

    Asking again is safe: what is on an invoice stays as it is.
    """
    period = parse_period(text)
    if not period.is_over(now(session)):
        raise PeriodOpen(f"{period} is not over yet.", ends_at=period.ends_at.isoformat())
    closing = _locked_closing(session, text)
    record(session, "period:close_requested", text, period=text)
    enqueue(session, CLOSE, period=text)
    return closing


def close_period(installation: Installation, text: str) -> None:
    """Put every contract's use up to the end of a month that is over on invoices.

    One invoice for each buyer, provider, currency and month; earlier months that are still open
    come first. Closing twice changes nothing. What cannot be invoiced keeps the month open, but
    never the invoices of others.
    """
    period = parse_period(text)
    if not period.is_over(installation.clock.now()):
        raise PeriodOpen(f"{period} is not over yet.", ends_at=period.ends_at.isoformat())
    with installation.transaction(ACTOR, writes=False) as session:
        pairs = contracts_to_bill(session, period)
    failures: dict[tuple[str, str], Exception] = {}
    for pair, contract_ids in pairs.items():
        try:
            _close_pair(installation, contract_ids, period)
        except Outage:
            raise
        except Exception as error:  # noqa: BLE001 - raised below, when the others have their invoices
            failures[pair] = error
    if failures:
        names = ", ".join(f"{provider} for {buyer}" for provider, buyer in failures)
        raise ExceptionGroup(f"{period} is not closed: no invoice by {names}", [*failures.values()])
    with installation.transaction(ACTOR) as session:
        _note_closed(session, text)


def close_contract(installation: Installation, contract_id: str) -> None:
    """Draw the open months of a contract that has ended, the last one at once.

    First makes sure that no call can settle any more: then nothing can come after the last line.
    """
    actor = job_actor(ENDED)
    with installation.transaction(actor, writes=False) as session:
        if get_or_refuse(session, Contract, contract_id).state in LIVING:
            return
        (contract,) = load_contracts(session, [contract_id])
    assert contract.last is not None
    _make_dead(installation, contract.contract.grant_id)
    _close_months(installation, [contract], contract.last, final=True)
    _close_tails(installation, [contract], period_of(installation.clock.now()))
    _close_books(installation, [contract], contract.last)


def _close_pair(installation: Installation, contract_ids: Sequence[str], period: Period) -> None:
    with installation.transaction(ACTOR, writes=False) as session:
        contracts = load_contracts(session, contract_ids)
    _close_months(installation, contracts, period)
    _close_tails(installation, contracts, period)
    _close_books(installation, contracts, period)


def _close_months(
    installation: Installation,
    contracts: Sequence[OpenContract],
    up_to: Period,
    *,
    final: bool = False,
) -> None:
    months: dict[Period, list[BilledContract]] = defaultdict(list)
    for contract in contracts:
        for period in contract.open_months(up_to):
            months[period].append(contract.contract)
    for period in sorted(months):
        closed = _close_ranges(installation, months[period], period)
        _draw(installation, closed, final=final)


def _close_tails(
    installation: Installation, contracts: Sequence[OpenContract], up_to: Period
) -> None:
    """Calls that settled, or were given back, after the last month of an ended contract."""
    ended = {one.contract.grant_id: one for one in contracts if one.last is not None}
    if not ended:
        return
    with installation.usage_transaction(writes=False) as connection:
        late = grants_with_open_use(connection, ended)
    for grant_id in sorted(late):
        contract = ended[grant_id]
        for period in contract.months_after_its_life(up_to):
            closed = _close_ranges(installation, [contract.contract], period, after_end=True)
            _draw(installation, closed, final=True)


def _close_books(
    installation: Installation, contracts: Sequence[OpenContract], up_to: Period
) -> None:
    """Let no closing look again at contracts that have ended, once no use of theirs is open, and
    none can be reported any more.
    """
    ended = {
        one.contract.grant_id: one.contract.contract_id
        for one in contracts
        if one.last is not None and one.last <= up_to
    }
    if not ended:
        return
    with installation.usage_transaction(writes=False) as connection:
        still_open = grants_with_open_use(connection, ended, or_live=True)
        still_open |= grants_to_be_told_of(connection, ended, installation.clock.now_us())
    done = [contract_id for grant_id, contract_id in ended.items() if grant_id not in still_open]
    if done:
        with installation.transaction(ACTOR) as session:
            note_invoiced(session, done)


def _close_ranges(
    installation: Installation,
    contracts: Iterable[BilledContract],
    period: Period,
    *,
    after_end: bool = False,
) -> list[ContractMonth]:
    """Fix which events belong to the month."""
    billed = sorted(contracts, key=lambda one: one.grant_id)
    ends_at_us = epoch_us(period.ends_at)
    closed = close_ranges(installation, [one.grant_id for one in billed], ends_at_us)
    starts_at_us = epoch_us(period.starts_at)
    months = []
    with installation.usage_transaction(writes=False) as connection:
        reported = grants_with_reports(connection, closed)
        for contract in billed:
            found, late = closed[contract.grant_id], {}
            numbers = found.first_number, found.last_number
            if contract.grant_id in reported:
                late = late_units(connection, contract.grant_id, *numbers, starts_at_us)
            on_time = found.units - sum(late.values())
            events = EventRange(*numbers, on_time, found.granted_units, late)
            months.append(ContractMonth(contract, period, events, after_end))
    return months


def _draw(installation: Installation, months: Sequence[ContractMonth], *, final: bool) -> None:
    """One transaction on the market store for each currency."""
    by_currency: dict[str, list[ContractMonth]] = defaultdict(list)
    for month in months:
        by_currency[month.contract.prices.plan.currency].append(month)
    for currency in sorted(by_currency):
        with installation.transaction(ACTOR) as session:
            draw_invoices(session, by_currency[currency], final=final)


def _make_dead(installation: Installation, grant_id: str) -> None:
    """Bring the grant's end into force; raises `Outage` while a call could still settle."""
    metering_tasks.apply(installation, {"grant_id": grant_id})
    with installation.usage_transaction(writes=False) as connection:
        grant = load_grant(connection, grant_id)
    if grant is None or grant.live:
        raise Outage("The grant has not ended in the usage store yet.")


def _note_closed(session: Session, text: str) -> None:
    closing = _locked_closing(session, text)
    if closing.state is ClosingState.CLOSED:
        return
    closing.state = ClosingState.CLOSED
    closing.closed_at = now(session)
    record(session, "period:closed", text, period=text)


def _locked_closing(session: Session, text: str) -> PeriodClosing:
    """The month's row, made when there is none: two first requests at a time make one."""
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(
        insert(PeriodClosing)
        .values(period=text, state=ClosingState.CLOSING, requested_at=now(session))
        .on_conflict_do_nothing()
    )
    return get_or_refuse(session, PeriodClosing, text, lock=True)
