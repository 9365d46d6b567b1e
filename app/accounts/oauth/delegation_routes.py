"""Routes: what a person has allowed clients, and how they take it back."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlmodel import Session, col

from app.accounts.models import Client
from app.accounts.oauth.delegating import end_own_delegation, own_delegations
from app.accounts.oauth.models import Delegation
from app.accounts.oauth.schemas import DelegationView
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page

TAGS = ["Accounts"]
PATH = "/api/v1/me/delegations"


@get(PATH, sync_to_thread=True, guards=[needs()], tags=TAGS)
def list_delegations(
    session: NamedDependency[Session],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[DelegationView]:
    """The clients that you have allowed to act for you; a program has none."""
    return page_of(
        session,
        own_delegations(session),
        col(Delegation.id),
        lambda row: _view(session, row),
        limit=limit,
        cursor=cursor,
    )


@post(
    f"{PATH}/{{delegation_id:str}}/end",
    sync_to_thread=True,
    guards=[needs()],
    status_code=200,
    tags=TAGS,
)
def post_end_delegation(
    delegation_id: FromPath[str], session: NamedDependency[Session]
) -> DelegationView:
    """Let the client act for you no longer: every token that it has of you ends at once."""
    return _view(session, end_own_delegation(session, delegation_id))


def _view(session: Session, row: Delegation) -> DelegationView:
    return DelegationView(
        id=row.id,
        client_id=row.client_id,
        client_name=session.get_one(Client, row.client_id).name,
        scope=row.scope,
        state="active" if row.ended_at is None else "ended",
        began_at=row.began_at,
        lapses_at=row.lapses_at,
        ended_at=row.ended_at,
    )


DELEGATION_ROUTES = (list_delegations, post_end_delegation)
