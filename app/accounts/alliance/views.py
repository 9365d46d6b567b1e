"""How seats and charters become answers."""

from __future__ import annotations

from datetime import date

from sqlmodel import Session, col, select

from app.accounts.alliance.models import Charter, Seat
from app.accounts.alliance.queries import charter_on, today
from app.accounts.alliance.rules import Fraction
from app.accounts.alliance.schemas import (
    CharterView,
    FractionView,
    SeatView,
    VotingRulesView,
)
from app.accounts.models import Organisation


def seat_view(session: Session, seat: Seat) -> SeatView:
    """A seat as it stands today."""
    return SeatView(
        id=seat.id,
        organisation_id=seat.organisation_id,
        organisation_name=session.get_one(Organisation, seat.organisation_id).name,
        role=seat.role,
        from_=seat.from_on,
        until=seat.until_on,
        appointed_until=seat.appointed_until_on,
        state=seat.term.state_on(today(session)),
        appointed_at=seat.appointed_at,
        ended_at=seat.ended_at,
        ended_reason=seat.ended_reason,
    )


def charter_view(session: Session, charter: Charter) -> CharterView:
    """A version of the charter in full."""
    return CharterView(
        version=charter.number,
        sha256=charter.sha256,
        effective_on=charter.effective_on,
        published_at=charter.published_at,
        in_force=is_in_force(session, charter, today(session)),
        text=charter.text,
        voting=VotingRulesView(
            voting_roles=sorted(charter.rules.voting_roles, key=lambda role: role.value),
            quorum=_fraction_view(charter.rules.quorum),
            majority=_fraction_view(charter.rules.majority),
        ),
        versions=list(session.exec(select(Charter.number).order_by(col(Charter.number)))),
    )


def is_in_force(session: Session, charter: Charter, day: date) -> bool:
    """Whether this is the version that binds on `day`."""
    binding = charter_on(session, day)
    return binding is not None and binding.id == charter.id


def _fraction_view(fraction: Fraction) -> FractionView:
    return FractionView(numerator=fraction.numerator, denominator=fraction.denominator)
