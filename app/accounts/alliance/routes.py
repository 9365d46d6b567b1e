"""Routes: who belongs to the alliance in which role, and the charter that binds them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlmodel import Session, col

from app.accounts.alliance.chartering import publish_charter
from app.accounts.alliance.errors import (
    CharterLater,
    CharterRefused,
    SeatDatesRefused,
    SeatOver,
    SeatsOverlap,
)
from app.accounts.alliance.membership import SeatRole
from app.accounts.alliance.models import Seat
from app.accounts.alliance.queries import charter_numbered, charter_on, seats, today
from app.accounts.alliance.schemas import CharterView, NewCharter, NewSeat, SeatEnd, SeatView
from app.accounts.alliance.seating import appoint, end_seat
from app.accounts.alliance.views import charter_view, seat_view
from app.accounts.roles import Role, must_have_role
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ
from app.db.locks import get_or_refuse
from app.http.documented import OPTION, Documented
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page
from app.kernel.actor import Actor
from app.kernel.clock import DayOutOfRange
from app.kernel.refusals import RowNotFound

TAGS = ["Alliance"]
READ = [needs(ORGANISATIONS_READ, ADMIN)]
ADMINISTER = [needs(ADMIN)]
MEMBERS = "/api/v1/alliance/members"
CHARTER = "/api/v1/alliance/charter"
OF_APPOINTING = Documented(refuses=(RowNotFound, SeatDatesRefused, SeatsOverlap, DayOutOfRange))
OF_ENDING = Documented(refuses=(SeatOver, SeatDatesRefused))
OF_PUBLISHING = Documented(refuses=(CharterRefused, CharterLater, DayOutOfRange))


@get(MEMBERS, sync_to_thread=True, guards=READ, tags=TAGS)
def list_seats(
    session: NamedDependency[Session],
    organisation_id: FromQuery[str | None] = None,
    seat_role: Annotated[SeatRole | None, QueryParameter(name="role")] = None,
    on: FromQuery[date | None] = None,
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[SeatView]:
    """The alliance's register: every role that an organisation has, had or is to have."""
    asked = seats(organisation_id=organisation_id, role=seat_role, on=on)
    return page_of(
        session,
        asked,
        col(Seat.id),
        lambda seat: seat_view(session, seat),
        limit=limit,
        cursor=cursor,
    )


@post(MEMBERS, sync_to_thread=True, guards=ADMINISTER, opt={OPTION: OF_APPOINTING}, tags=TAGS)
def post_seat(
    data: JSONBody[NewSeat], actor: NamedDependency[Actor], session: NamedDependency[Session]
) -> SeatView:
    """Give an organisation a role in the alliance; its rights begin and end with the term."""
    must_have_role(actor, Role.ADMIN)
    return seat_view(session, appoint(session, data.organisation_id, data.role, data.term()))


@get(f"{MEMBERS}/{{seat_id:str}}", sync_to_thread=True, guards=READ, tags=TAGS)
def get_seat(seat_id: FromPath[str], session: NamedDependency[Session]) -> SeatView:
    """One role of one organisation."""
    return seat_view(session, get_or_refuse(session, Seat, seat_id))


@post(
    f"{MEMBERS}/{{seat_id:str}}/end",
    sync_to_thread=True,
    guards=ADMINISTER,
    status_code=200,
    opt={OPTION: OF_ENDING},
    tags=TAGS,
)
def post_seat_end(
    seat_id: FromPath[str],
    data: JSONBody[SeatEnd],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> SeatView:
    """End a role before its term does, today or later; it stays in the register."""
    must_have_role(actor, Role.ADMIN)
    return seat_view(session, end_seat(session, seat_id, data.until, data.reason))


@get(CHARTER, sync_to_thread=True, opt={OPTION: Documented(refuses=(RowNotFound,))}, tags=TAGS)
def get_charter(session: NamedDependency[Session]) -> CharterView:
    """The charter that is in force today."""
    charter = charter_on(session, today(session))
    if charter is None:
        raise RowNotFound("No charter is in force.")
    return charter_view(session, charter)


@post(CHARTER, sync_to_thread=True, guards=ADMINISTER, opt={OPTION: OF_PUBLISHING}, tags=TAGS)
def post_charter(
    data: JSONBody[NewCharter], actor: NamedDependency[Actor], session: NamedDependency[Session]
) -> CharterView:
    """Publish the next version of the charter; what was published never changes."""
    must_have_role(actor, Role.ADMIN)
    rules = data.voting.rules()
    return charter_view(session, publish_charter(session, data.text, data.effective_on, rules))


@get(f"{CHARTER}/{{version:int}}", sync_to_thread=True, tags=TAGS)
def get_charter_version(version: FromPath[int], session: NamedDependency[Session]) -> CharterView:
    """A version of the charter, whether it is in force, was, or is to be."""
    return charter_view(session, charter_numbered(session, version))


ALLIANCE_ROUTES = (
    list_seats,
    post_seat,
    get_seat,
    post_seat_end,
    get_charter,
    post_charter,
    get_charter_version,
)
