"""Routes: organisations, their verification, and who asks."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from sqlmodel import Session, col

from app.accounts.alliance.queries import seat_roles_today
from app.accounts.alliance.routes import ALLIANCE_ROUTES
from app.accounts.client_routes import CLIENT_ROUTES
from app.accounts.identity_providers.routes import IDENTITY_PROVIDER_ROUTES
from app.accounts.key_routes import KEY_ROUTES
from app.accounts.member_routes import MEMBER_ROUTES
from app.accounts.models import Client, Organisation, Person
from app.accounts.oauth.routes import OAUTH_ROUTES
from app.accounts.people.routes import PEOPLE_ROUTES
from app.accounts.queries import (
    access_organisation,
    load_organisation,
    verification_at,
    visible_organisations,
)
from app.accounts.registering import (
    amend_organisation,
    register_organisation,
    resume_organisation,
    suspend_organisation,
)
from app.accounts.roles import Role, must_have_role
from app.accounts.schemas import (
    NewOrganisation,
    OrganisationChange,
    VerificationDecision,
    VerificationRequest,
    Why,
)
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ, ORGANISATIONS_WRITE, in_order
from app.accounts.verifying import decide_verification, request_verification, verifications_of
from app.accounts.views import (
    OrganisationView,
    Principal,
    VerificationList,
    organisation_view,
    verification_view,
)
from app.db.session import now
from app.http.entity_tags import etag
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page
from app.kernel.actor import Actor, ActorKind

TAGS = ["Accounts"]
READ = [needs(ORGANISATIONS_READ, ADMIN)]
WRITE = [needs(ORGANISATIONS_WRITE, ADMIN)]
ADMINISTER = [needs(ADMIN)]


@get("/api/v1/me", sync_to_thread=True, guards=[needs()], tags=TAGS)
def get_me(actor: NamedDependency[Actor], session: NamedDependency[Session]) -> Principal:
    """Who asks: organisation and its roles in the alliance today; roles, scopes and client."""
    assert actor.organisation_id is not None, "a token names an organisation"
    organisation = load_organisation(session, actor.organisation_id)
    holder = session.get(Person if actor.kind is ActorKind.PERSON else Client, actor.id)
    return Principal(
        kind=actor.kind.value,
        id=actor.id,
        name=holder.name if isinstance(holder, Person | Client) else "",
        organisation_id=organisation.id,
        organisation_name=organisation.name,
        verification_state=verification_at(organisation, now(session)),
        client_id=actor.client_id,
        roles=sorted(actor.roles),
        alliance_roles=seat_roles_today(session, organisation.id),
        scopes=in_order(actor.scopes),
    )


@post("/api/v1/organisations", sync_to_thread=True, guards=ADMINISTER, tags=TAGS)
def post_organisation(
    data: JSONBody[NewOrganisation],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> Response[OrganisationView]:
    """Enter an organisation; the administrator does, and makes its first client next."""
    must_have_role(actor, Role.ADMIN)
    return _answer(session, register_organisation(session, data.wish()), 201)


@get("/api/v1/organisations", sync_to_thread=True, guards=READ, tags=TAGS)
def list_organisations(
    session: NamedDependency[Session],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[OrganisationView]:
    """Every organisation, for those who oversee the alliance; for others, their own."""
    moment = now(session)
    return page_of(
        session,
        visible_organisations(session),
        col(Organisation.id),
        lambda organisation: organisation_view(organisation, moment),
        limit=limit,
        cursor=cursor,
    )


@get("/api/v1/organisations/{organisation_id:str}", sync_to_thread=True, guards=READ, tags=TAGS)
def get_organisation(
    organisation_id: FromPath[str], session: NamedDependency[Session]
) -> Response[OrganisationView]:
    """One organisation."""
    return _answer(session, access_organisation(session, organisation_id), 200)


@patch("/api/v1/organisations/{organisation_id:str}", sync_to_thread=True, guards=WRITE, tags=TAGS)
def patch_organisation(
    organisation_id: FromPath[str],
    data: JSONBody[OrganisationChange],
    session: NamedDependency[Session],
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
) -> Response[OrganisationView]:
    """Change what is sent; name and credit code stay while they are verified or under review."""
    changed = amend_organisation(session, organisation_id, data.changes(), if_match)
    return _answer(session, changed, 200)


@post(
    "/api/v1/organisations/{organisation_id:str}/suspend",
    sync_to_thread=True,
    guards=ADMINISTER,
    status_code=200,
    tags=TAGS,
)
def post_suspend(
    organisation_id: FromPath[str],
    data: JSONBody[Why],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> Response[OrganisationView]:
    """Stop an organisation: none of its tokens holds from now on."""
    must_have_role(actor, Role.ADMIN)
    return _answer(session, suspend_organisation(session, organisation_id, data.reason), 200)


@post(
    "/api/v1/organisations/{organisation_id:str}/resume",
    sync_to_thread=True,
    guards=ADMINISTER,
    status_code=200,
    tags=TAGS,
)
def post_resume(
    organisation_id: FromPath[str],
    data: JSONBody[Why],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> Response[OrganisationView]:
    """Let a suspended organisation act again."""
    must_have_role(actor, Role.ADMIN)
    return _answer(session, resume_organisation(session, organisation_id, data.reason), 200)


@post(
    "/api/v1/organisations/{organisation_id:str}/verification",
    sync_to_thread=True,
    guards=WRITE,
    tags=TAGS,
)
def post_verification(
    organisation_id: FromPath[str],
    data: JSONBody[VerificationRequest],
    session: NamedDependency[Session],
) -> Response[OrganisationView]:
    """Ask that the organisation's real name be verified, for the first time or anew."""
    asked = request_verification(session, organisation_id, data.evidence())
    return _answer(session, asked, 201)


@get(
    "/api/v1/organisations/{organisation_id:str}/verification",
    sync_to_thread=True,
    guards=READ,
    tags=TAGS,
)
def get_verification(
    organisation_id: FromPath[str], session: NamedDependency[Session]
) -> VerificationList:
    """Every request of the organisation and what became of it."""
    organisation = access_organisation(session, organisation_id)
    return VerificationList(
        verification_state=verification_at(organisation, now(session)),
        items=[verification_view(row) for row in verifications_of(session, organisation_id)],
    )


@post(
    "/api/v1/organisations/{organisation_id:str}/verification/decision",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    tags=TAGS,
)
def post_decision(
    organisation_id: FromPath[str],
    data: JSONBody[VerificationDecision],
    session: NamedDependency[Session],
) -> Response[OrganisationView]:
    """Decide on a request; a reviewer of the alliance does, never of the organisation itself."""
    decided = decide_verification(
        session,
        organisation_id,
        data.decision,
        reason=data.reason,
        expires_on=data.expires_on,
    )
    return _answer(session, decided, 200)


def _answer(
    session: Session, organisation: Organisation, status: int
) -> Response[OrganisationView]:
    return Response(
        organisation_view(organisation, now(session)),
        status_code=status,
        headers={"ETag": etag(organisation.edit)},
    )


ORGANISATION_ROUTES = (
    get_me,
    post_organisation,
    list_organisations,
    get_organisation,
    patch_organisation,
    post_suspend,
    post_resume,
    post_verification,
    get_verification,
    post_decision,
)
ROUTERS = (
    *ORGANISATION_ROUTES,
    *CLIENT_ROUTES,
    *MEMBER_ROUTES,
    *KEY_ROUTES,
    *OAUTH_ROUTES,
    *PEOPLE_ROUTES,
    *ALLIANCE_ROUTES,
    *IDENTITY_PROVIDER_ROUTES,
)
