"""Granting units: beside the quotas and free of charge, by the plan, the provider or the alliance.

The rows here are the truth of what was granted; `grant.apply` brings them to the usage store, where
calls burn them. Nothing takes a grant of units back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from app.audit.recording import record
from app.contracts.bounds import licence_of, moments_under
from app.contracts.errors import NotLicensed, NotYourStep, StepRefused, UnitsNotGranted
from app.contracts.granting import APPLY
from app.contracts.models import Contract, DataGrant, UnitGrant
from app.contracts.queries import access_contract, side_in, signed_terms
from app.contracts.states import LIVING, Side, UnitKind
from app.contracts.terms import agreed_plan
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.clock import day_after, day_start, epoch_us, rfc3339
from app.kernel.ids import new_id

CARRY = "units.carry"
# Each batch of calls looks at all that are left: of a thousand it takes a third of a second.
MAX_PER_CONTRACT = 100

PRIORITY: Mapping[UnitKind, int] = {
    # What is lost soonest burns first, what was bought last.
    UnitKind.TRIAL: 0,
    UnitKind.CARRY_OVER: 50,
    UnitKind.GOODWILL: 100,
    UnitKind.TOP_UP: 200,
}
"""The priority of a grant whose giver names none; the lowest burns first."""


@dataclass(frozen=True, slots=True)
class UnitWish:
    """What somebody gives: for the days from first to last, else from now to the contract's end."""

    kind: UnitKind
    units: int
    priority: int | None = None
    first_on: date | None = None
    last_on: date | None = None
    reason: str | None = None


def give_units(session: Session, contract_id: str, wish: UnitWish) -> UnitGrant:
    """Grant units on a living contract: the provider a top-up or goodwill, the alliance goodwill.

    Refuses with `NotYourStep`, `StepRefused`, `NotLicensed` or `UnitsNotGranted`.
    """
    contract = access_contract(session, contract_id, lock=True)
    side = side_in(session, contract)
    if side is Side.BUYER or (side is Side.ALLIANCE and wish.kind is not UnitKind.GOODWILL):
        raise NotYourStep(f"The {side.value} does not grant units as {wish.kind.value}.")
    if contract.state not in LIVING:
        state = contract.state.value
        raise StepRefused(f"A contract that is {state} gets no more units.", state=state)
    document = signed_terms(session, contract).document
    if licence_of(document).count is not None:
        raise NotLicensed("The licence counts every use: no units come beside it.", clause="count")
    _check_number(session, contract)
    starts_at, ends_at = _life(wish, moments_under(document), now(session))
    grant = _grant_of(session, contract)
    granted = UnitGrant(
        id=new_id("ugr"),
        contract_id=contract.id,
        grant_id=grant.id,
        kind=wish.kind,
        cause="",
        meter=agreed_plan(document).plan.meter.value,
        priority=PRIORITY[wish.kind] if wish.priority is None else wish.priority,
        amount_units=wish.units,
        starts_at=starts_at,
        ends_at=ends_at,
        side=side,
        reason=wish.reason,
        granted_at=now(session),
    )
    granted.cause = granted.id
    return _add(session, contract, granted)


def grant_trial(
    session: Session, contract: Contract, grant: DataGrant, document: Mapping[str, Any]
) -> None:
    """What the signed plan grants by itself: its trial now, and later what windows leave over."""
    plan = agreed_plan(document).plan
    starts_at, ends_at = moments_under(document)
    if plan.trial is not None:
        if plan.trial.days is not None:
            ends_at = min(ends_at, starts_at + timedelta(days=plan.trial.days))
        granted = _by_plan(session, contract, grant.id, UnitKind.TRIAL, plan.trial.units)
        granted.cause, granted.meter = "trial", plan.meter.value
        granted.starts_at, granted.ends_at = starts_at, ends_at
        _add(session, contract, granted)
    for place, quota in enumerate(plan.quotas):
        if quota.carry_over is not None:
            schedule_carrying(session, grant.id, place, starts_at, None)


def schedule_carrying(
    session: Session, grant_id: str, place: int, window_from: datetime, due_at: datetime | None
) -> None:
    """Have what the window around `window_from` of the plan's quota leaves carried over, once it
    has ended.
    """
    when = "first" if due_at is None else str(epoch_us(due_at))
    enqueue(
        session,
        CARRY,
        due_at=due_at,
        dedupe_key=f"{CARRY}:{grant_id}:{place}:{when}",
        grant_id=grant_id,
        place=place,
        from_us=epoch_us(window_from),
    )


def grant_carried(
    session: Session, grant_id: str, place: int, units: int, window: tuple[datetime, datetime]
) -> UnitGrant | None:
    """Grant what was left over for `window`, the one after; None when that was done before."""
    grant = session.get_one(DataGrant, grant_id)
    contract = session.get_one(Contract, grant.contract_id, with_for_update=True)
    starts_at, ends_at = window
    cause = f"carry_over:{place}:{epoch_us(starts_at)}"
    done = select(UnitGrant.id).where(UnitGrant.grant_id == grant_id, UnitGrant.cause == cause)
    if contract.state not in LIVING or session.exec(done).first() is not None:
        return None
    granted = _by_plan(session, contract, grant_id, UnitKind.CARRY_OVER, units)
    granted.cause = cause
    granted.meter = agreed_plan(signed_terms(session, contract).document).plan.meter.value
    granted.starts_at, granted.ends_at = starts_at, min(ends_at, contract.ends_at)
    return _add(session, contract, granted)


def told_units(granted: UnitGrant) -> dict[str, Any]:
    """What the log says of a grant of units."""
    return {
        "contract_id": granted.contract_id,
        "grant_id": granted.grant_id,
        "unit_kind": granted.kind.value,
        "cause": granted.cause,
        "meter": granted.meter,
        "priority": granted.priority,
        "amount_units": granted.amount_units,
        "starts_at": rfc3339(granted.starts_at),
        "ends_at": rfc3339(granted.ends_at),
        "side": None if granted.side is None else granted.side.value,
        "reason": granted.reason,
    }


def compiled_units(granted: UnitGrant) -> dict[str, Any]:
    """A grant of units as metering takes it."""
    return {
        "unit_grant_id": granted.id,
        "kind": granted.kind.value,
        "meter": granted.meter,
        "priority": granted.priority,
        "amount_units": granted.amount_units,
        "starts_at_us": epoch_us(granted.starts_at),
        "ends_at_us": epoch_us(granted.ends_at),
        "granted_at_us": epoch_us(granted.granted_at),
    }


def units_key(granted: UnitGrant) -> str:
    """The key of the job that lets calls burn these units."""
    return f"{APPLY}:units:{granted.id}"


def _by_plan(
    session: Session, contract: Contract, grant_id: str, kind: UnitKind, units: int
) -> UnitGrant:
    return UnitGrant(
        id=new_id("ugr"),
        contract_id=contract.id,
        grant_id=grant_id,
        kind=kind,
        priority=PRIORITY[kind],
        amount_units=units,
        granted_at=now(session),
    )


def _add(session: Session, contract: Contract, granted: UnitGrant) -> UnitGrant:
    session.add(granted)
    session.flush()
    record(
        session,
        "units:granted",
        granted.id,
        organisations=(contract.buyer_id, contract.provider_id),
        **told_units(granted),
    )
    enqueue(session, APPLY, dedupe_key=units_key(granted), grant_id=granted.grant_id)
    return granted


def _grant_of(session: Session, contract: Contract) -> DataGrant:
    return session.exec(select(DataGrant).where(DataGrant.contract_id == contract.id)).one()


def _check_number(session: Session, contract: Contract) -> None:
    given = session.exec(
        select(func.count())
        .select_from(UnitGrant)
        .where(UnitGrant.contract_id == contract.id, col(UnitGrant.side).is_not(None))
    ).one()
    if given >= MAX_PER_CONTRACT:
        raise UnitsNotGranted(
            f"A contract is given units {MAX_PER_CONTRACT} times at most.", rule="units-count"
        )


def _life(
    wish: UnitWish, contract_life: tuple[datetime, datetime], at: datetime
) -> tuple[datetime, datetime]:
    """`[start, end)` of the units, inside the contract's own life."""
    first, after = contract_life
    starts_at = max(first, at if wish.first_on is None else day_start(wish.first_on))
    ends_at = after if wish.last_on is None else min(after, day_after(wish.last_on))
    if ends_at <= max(starts_at, at):
        raise UnitsNotGranted(
            "No call could burn these units: their days are over, or not the contract's.",
            rule="units-life",
        )
    return starts_at, ends_at
