"""Do seats and charters say what the log says of them (A1), and does no role overlap (V1)?"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.accounts.alliance.models import Charter, Seat
from app.audit.told import lost_rows, with_tales
from app.kernel.canonical import sha256_hex

SEAT_LEAVES = ("seat:appointed", "seat:ended")


def problems(session: Session) -> Iterator[str]:
    """Seats that nobody gave or took, charters that read otherwise, and roles held twice."""
    yield from _seat_problems(session)
    yield from _charter_problems(session)
    yield from _overlaps(session)
    yield from lost_rows(session, "seat:appointed", Seat.id)
    yield from lost_rows(session, "charter:published", Charter.id)


def _seat_problems(session: Session) -> Iterator[str]:
    rows = select(Seat).order_by(col(Seat.id))
    for seat, tale in with_tales(session, rows, SEAT_LEAVES, lambda row: row.id):
        given = {
            "organisation": seat.organisation_id,
            "role": seat.role.value,
            "from": seat.from_on.isoformat(),
            "until": seat.appointed_until_on.isoformat(),
        }
        if not tale.has("seat:appointed", seat.appointed_at, **given):
            yield f"A1: seat {seat.id} was not given as the log says"
            continue
        ended = tale.last("seat:ended")
        told = (None, given["until"]) if ended is None else (ended.at, ended.facts["until"])
        if (seat.ended_at, seat.until_on.isoformat()) != told:
            yield f"A1: seat {seat.id} does not end when the log says"


def _charter_problems(session: Session) -> Iterator[str]:
    rows = select(Charter).order_by(col(Charter.id))
    for charter, tale in with_tales(session, rows, ("charter:published",), lambda row: row.id):
        name = f"version {charter.number} of the charter"
        if sha256_hex(charter.text.encode()) != charter.sha256:
            yield f"A1: {name} does not hash to what it says"
        elif not tale.has(
            "charter:published",
            charter.published_at,
            number=charter.number,
            sha256=charter.sha256,
            effective_on=charter.effective_on.isoformat(),
            rules=charter.rules.as_json(),
        ):
            yield f"A1: {name} was not published as the log says"


def _overlaps(session: Session) -> Iterator[str]:
    one, other = sa.orm.aliased(Seat), sa.orm.aliased(Seat)
    found = session.exec(
        select(one.id, other.id)
        .join(
            other,
            sa.and_(
                col(one.organisation_id) == col(other.organisation_id),
                col(one.role) == col(other.role),
                col(one.id) < col(other.id),
                col(one.from_on) < col(other.until_on),
                col(other.from_on) < col(one.until_on),
                col(one.from_on) < col(one.until_on),
                col(other.from_on) < col(other.until_on),
            ),
        )
        .order_by(col(one.id), col(other.id))
    )
    for first, second in found:
        yield f"V1: seats {first} and {second} are one role at the same time"
