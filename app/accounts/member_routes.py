"""Routes: the people of an organisation."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlmodel import Session, col

from app.accounts.joining import PersonWish, add_person, change_role, people_of, remove_person
from app.accounts.models import Person
from app.accounts.passwords import check_password, hash_password
from app.accounts.schemas import NewMember, RoleChange
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ, ORGANISATIONS_WRITE
from app.accounts.views import MemberView, member_view
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page

TAGS = ["Accounts"]
PATH = "/api/v1/organisations/{organisation_id:str}/members"
READ = [needs(ORGANISATIONS_READ, ADMIN)]
WRITE = [needs(ORGANISATIONS_WRITE, ADMIN)]


@post(PATH, sync_to_thread=True, guards=WRITE, tags=TAGS)
def post_member(
    organisation_id: FromPath[str],
    data: JSONBody[NewMember],
    session: NamedDependency[Session],
) -> MemberView:
    """Let a person join with one role, of no more than its giver's rights."""
    check_password(data.password, data.email, data.name)
    # Hashed here, before the transaction's first statement: it takes tens of milliseconds.
    wish = PersonWish(
        email=data.email,
        name=data.name,
        role=data.role,
        password_argon2=hash_password(data.password),
    )
    return member_view(add_person(session, organisation_id, wish))


@get(PATH, sync_to_thread=True, guards=READ, tags=TAGS)
def list_members(
    organisation_id: FromPath[str],
    session: NamedDependency[Session],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[MemberView]:
    """The organisation's people and their roles."""
    people = people_of(session, organisation_id)
    return page_of(session, people, col(Person.id), member_view, limit=limit, cursor=cursor)


@post(
    f"{PATH}/{{person_id:str}}/roles",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    tags=TAGS,
)
def post_role(
    organisation_id: FromPath[str],
    person_id: FromPath[str],
    data: JSONBody[RoleChange],
    session: NamedDependency[Session],
) -> MemberView:
    """Give a person another role; tokens under the old one hold no longer."""
    return member_view(change_role(session, organisation_id, person_id, data.role))


@post(
    f"{PATH}/{{person_id:str}}/remove",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    tags=TAGS,
)
def post_remove(
    organisation_id: FromPath[str],
    person_id: FromPath[str],
    session: NamedDependency[Session],
) -> MemberView:
    """End a person's membership: no more signing in, and no token holds."""
    return member_view(remove_person(session, organisation_id, person_id))


MEMBER_ROUTES = (post_member, list_members, post_role, post_remove)
