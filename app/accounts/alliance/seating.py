"""Seating: an organisation is given a role for a term, and may lose it early; history stays."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlmodel import Session

from app.accounts.alliance.errors import SeatDatesRefused, SeatOver, SeatsOverlap
from app.accounts.alliance.membership import SeatRole, SeatState, Term
from app.accounts.alliance.models import Seat
from app.accounts.alliance.queries import seats, today
from app.accounts.claiming import claim
from app.accounts.queries import load_organisation
from app.audit.recording import record
from app.db.locks import get_or_refuse
from app.db.session import actor_of, now
from app.kernel.clock import check_day
from app.kernel.ids import new_id


def appoint(session: Session, organisation_id: str, role: SeatRole, term: Term) -> Seat:
    """A seat of the organisation; `term` may have begun before today, for the record.

    Refuses with `SeatDatesRefused`, `SeatsOverlap` or `RowNotFound`. Whether the actor may appoint
    is for the caller to say.
    """
    check_term(term)
    load_organisation(session, organisation_id, lock=True)
    for held in session.exec(seats(organisation_id=organisation_id, role=role)):
        if held.term.overlaps(term):
            raise _overlap(held)
    seat = Seat(
        id=new_id("seat"),
        organisation_id=organisation_id,
        role=role,
        from_on=term.from_on,
        until_on=term.until_on,
        appointed_until_on=term.until_on,
        appointed_at=now(session),
        appointed_by=actor_of(session).id,
        ended_at=None,
        ended_by=None,
        ended_reason=None,
    )
    claim(session, seat, SeatsOverlap("The organisation holds this role then already."))
    record(
        session,
        "seat:appointed",
        seat.id,
        organisations=(organisation_id,),
        organisation=organisation_id,
        role=role.value,
        **{"from": term.from_on.isoformat(), "until": term.until_on.isoformat()},
    )
    return seat


def end_seat(session: Session, seat_id: str, until_on: date | None, reason: str) -> Seat:
    """Let the seat's rights end with `until_on`, which is today if not said, and not its own end.

    One that has not begun by then never begins. Refuses with `SeatOver` or `SeatDatesRefused`.
    """
    seat = get_or_refuse(session, Seat, seat_id)
    # The organisation first: the order in which a seat is given.
    load_organisation(session, seat.organisation_id, lock=True)
    seat = get_or_refuse(session, Seat, seat_id, lock=True)
    day = today(session)
    if seat.term.state_on(day) is SeatState.PAST:
        raise SeatOver("This seat has ended already.", until=seat.until_on.isoformat())
    last = until_on or day
    if not day <= last < seat.until_on:
        raise SeatDatesRefused(
            "A seat ends early between today and the end that it has.",
            today=day.isoformat(),
            until=seat.until_on.isoformat(),
        )
    seat.until_on = seat.term.ended_on(last).until_on
    seat.ended_at, seat.ended_by, seat.ended_reason = now(session), actor_of(session).id, reason
    session.flush()
    record(
        session,
        "seat:ended",
        seat.id,
        organisations=(seat.organisation_id,),
        until=seat.until_on.isoformat(),
        reason=reason,
    )
    return seat


def check_term(term: Term) -> None:
    """Refuse with `SeatDatesRefused` a term without any day."""
    for day in (term.from_on, term.until_on):
        check_day(day)
    if term.until_on <= term.from_on:
        raise SeatDatesRefused("`until` comes after `from`: it is the first day without the role.")


def _overlap(held: Seat) -> SeatsOverlap:
    days: dict[str, Any] = {
        "from": held.from_on.isoformat(),
        "until": held.until_on.isoformat(),
    }
    return SeatsOverlap("The organisation holds this role then already.", seat_id=held.id, **days)
