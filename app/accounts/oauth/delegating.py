"""Delegating: a person lets a client act for them, and takes it back with all that came of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, and_, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.models import Client, Person
from app.accounts.oauth.models import Delegation, SignInSession
from app.accounts.oauth.tokens import LIFE_S, SKEW_S
from app.audit.recording import record
from app.db.session import actor_of, now
from app.kernel.actor import ActorKind
from app.kernel.ids import new_id
from app.kernel.refusals import Refusal, RowNotFound

TOKEN_LIFE = timedelta(seconds=LIFE_S + 2 * SKEW_S)


class Why(StrEnum):
    """Why a delegation ended before its time."""

    BY_PERSON = "by_person"
    CLIENT_DONE = "client_done"
    CODE_REUSED = "code_reused"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a reason's name
    PERSON_ENDED = "person_ended"


class UsedBefore(Refusal):
    """A code or refresh token came a second time: somebody else may have had it.

    Whoever it is, the delegation that it came of ends, though the request is refused.
    """

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "used-before"
    title: ClassVar[str] = "Used before"

    def __init__(self, detail: str, delegation_id: str, why: Why) -> None:
        # The id, not the row: the rollback that comes first empties the row.
        super().__init__(detail, keep=lambda fresh: end_delegation(fresh, delegation_id, why))


def begin_delegation(
    session: Session, client: Client, signed_in: SignInSession, scope: str, life: timedelta
) -> Delegation:
    """What the person who is signed in like this has just allowed the client.

    It lapses after `life`, unless tokens are given on it before.
    """
    person = session.get_one(Person, signed_in.person_id)
    moment = now(session)
    row = Delegation(
        id=new_id("dlg"),
        client_id=client.id,
        person_id=person.id,
        scope=scope,
        authenticated_at=signed_in.started_at,
        session_sha256=signed_in.sha256,
        began_at=moment,
        lapses_at=moment + life,
        ended_at=None,
    )
    session.add(row)
    session.flush()
    record(
        session,
        "delegation:given",
        row.id,
        organisations=(person.organisation_id, client.organisation_id),
        client_id=client.id,
        person_id=person.id,
        scopes=scope.split(),
    )
    return row


def live_delegation(session: Session, delegation_id: str) -> Delegation | None:
    """The delegation, locked, unless it has ended: tokens are given under this lock only."""
    row = session.get(Delegation, delegation_id, with_for_update=True, populate_existing=True)
    if row is None or row.ended_at is not None or now(session) >= row.lapses_at:
        return None
    return row


def prolong_for_token(session: Session, delegation: Delegation) -> None:
    """Let the delegation last as long as an access token that is given on it now."""
    delegation.lapses_at = max(delegation.lapses_at, now(session) + TOKEN_LIFE)


def end_delegation(session: Session, delegation_id: str, why: Why) -> None:
    """End the delegation and all its tokens; nothing if it is over."""
    end_delegations(session, col(Delegation.id) == delegation_id, why)


def end_delegations(session: Session, which: ColumnElement[bool], why: Why) -> None:
    """End those of the delegations that are live, and all their tokens."""
    moment = now(session)
    rows = session.exec(
        select(Delegation)
        .where(which, _live(moment))
        .order_by(col(Delegation.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        row.ended_at = moment
        person = session.get_one(Person, row.person_id)
        client = session.get_one(Client, row.client_id)
        record(
            session,
            "delegation:ended",
            row.id,
            organisations=(person.organisation_id, client.organisation_id),
            client_id=client.id,
            person_id=person.id,
            why=why.value,
        )
    session.flush()


def own_delegations(session: Session) -> SelectOfScalar[Delegation]:
    """What the person who asks has allowed, as far as it is live; nothing for a program."""
    own = col(Delegation.person_id) == actor_of(session).id
    return select(Delegation).where(own, _live(now(session)))


def end_own_delegation(session: Session, delegation_id: str) -> Delegation:
    """End what the person who asks has allowed; `RowNotFound` for another's. Repeat is safe."""
    row = session.get(Delegation, delegation_id)
    actor = actor_of(session)
    if row is None or actor.kind is not ActorKind.PERSON or row.person_id != actor.id:
        raise RowNotFound("There is no such thing, or it is not yours.")
    end_delegation(session, row.id, Why.BY_PERSON)
    session.refresh(row)
    return row


def _live(moment: datetime) -> ColumnElement[bool]:
    return and_(col(Delegation.ended_at).is_(None), col(Delegation.lapses_at) > moment)
