"""Routes: the clients of an organisation."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlmodel import Session, col

from app.accounts.enrolling import clients_of, enrol_client, revoke_client, rotate_secret
from app.accounts.models import Client
from app.accounts.schemas import NewClient
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ, ORGANISATIONS_WRITE
from app.accounts.views import ClientView, ClientWithSecret, client_view, client_with_secret
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page

TAGS = ["Accounts"]
PATH = "/api/v1/organisations/{organisation_id:str}/clients"
READ = [needs(ORGANISATIONS_READ, ADMIN)]
WRITE = [needs(ORGANISATIONS_WRITE, ADMIN)]


@post(PATH, sync_to_thread=True, guards=WRITE, opt={"holds_secret": True}, tags=TAGS)
def post_client(
    organisation_id: FromPath[str],
    data: JSONBody[NewClient],
    session: NamedDependency[Session],
) -> ClientWithSecret:
    """Make a client; its secret is shown this once. It gets no scope that its maker lacks."""
    return client_with_secret(*enrol_client(session, organisation_id, data.wish()))


@get(PATH, sync_to_thread=True, guards=READ, tags=TAGS)
def list_clients(
    organisation_id: FromPath[str],
    session: NamedDependency[Session],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[ClientView]:
    """The organisation's clients, without their secrets."""
    clients = clients_of(session, organisation_id)
    return page_of(session, clients, col(Client.id), client_view, limit=limit, cursor=cursor)


@post(
    f"{PATH}/{{client_id:str}}/revoke",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    tags=TAGS,
)
def post_revoke_client(
    organisation_id: FromPath[str],
    client_id: FromPath[str],
    session: NamedDependency[Session],
) -> ClientView:
    """End a client: none of its tokens holds from now on."""
    return client_view(revoke_client(session, organisation_id, client_id))


@post(
    f"{PATH}/{{client_id:str}}/rotate-secret",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    opt={"holds_secret": True},
    tags=TAGS,
)
def post_rotate_secret(
    organisation_id: FromPath[str],
    client_id: FromPath[str],
    session: NamedDependency[Session],
) -> ClientWithSecret:
    """Give a client a new secret, shown this once; the old one stops working at once."""
    return client_with_secret(*rotate_secret(session, organisation_id, client_id))


CLIENT_ROUTES = (post_client, list_clients, post_revoke_client, post_rotate_secret)
