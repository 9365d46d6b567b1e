"""Questions about seats and charters. Both are open to whoever the routes let in."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.alliance.membership import SeatRole
from app.accounts.alliance.models import Charter, Seat
from app.db.session import now
from app.kernel.clock import local_day
from app.kernel.refusals import RowNotFound

MAX_NUMBER = 2**31


def today(session: Session) -> date:
    """The day of this transaction in Asia/Shanghai: what every right of a seat is held against."""
    return local_day(now(session))


def held_on(day: date) -> sa.ColumnElement[bool]:
    """The condition that a seat's term holds on `day`."""
    return sa.and_(col(Seat.from_on) <= day, col(Seat.until_on) > day)


def seats(
    *, organisation_id: str | None = None, role: SeatRole | None = None, on: date | None = None
) -> SelectOfScalar[Seat]:
    """Seats of every time, or those that these narrow it down to."""
    statement = select(Seat)
    if organisation_id is not None:
        statement = statement.where(Seat.organisation_id == organisation_id)
    if role is not None:
        statement = statement.where(Seat.role == role)
    return statement if on is None else statement.where(held_on(on))


def seat_roles_today(session: Session, organisation_id: str) -> list[SeatRole]:
    """The roles that the organisation holds today, the highest first."""
    held = session.exec(seats(organisation_id=organisation_id, on=today(session)))
    roles = {seat.role for seat in held}
    return [role for role in SeatRole if role in roles]


def charter_on(session: Session, day: date) -> Charter | None:
    """The version of the charter that is in force on `day`."""
    return session.exec(
        select(Charter)
        .where(Charter.effective_on <= day)
        .order_by(col(Charter.effective_on).desc())
        .limit(1)
    ).one_or_none()


def charter_numbered(session: Session, number: int) -> Charter:
    """This version of the charter; `RowNotFound` without one."""
    known = 0 < number < MAX_NUMBER
    asked = select(Charter).where(Charter.number == (number if known else 0))
    found = session.exec(asked).one_or_none()
    if found is None:
        raise RowNotFound("There is no such version of the charter.")
    return found


def newest_charter(session: Session) -> Charter | None:
    """The version that was published last, in force or not yet."""
    return session.exec(select(Charter).order_by(col(Charter.number).desc()).limit(1)).one_or_none()
