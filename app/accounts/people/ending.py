"""Ending: whatever a person is signed in by, everywhere, from now on."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session, col

from app.accounts.oauth.delegating import Why, end_delegations
from app.accounts.oauth.models import Delegation, SignInSession
from app.db.session import now


def end_everything(session: Session, person_id: str) -> int:
    """End the person's browser sessions, codes and access tokens; how many sessions were open."""
    ended = end_sessions(session, person_id)
    end_delegations(session, col(Delegation.person_id) == person_id, Why.PERSON_ENDED)
    return ended


def end_sessions(session: Session, person_id: str) -> int:
    """End every browser session of the person; how many were open."""
    moment = now(session)
    is_open = sa.and_(
        col(SignInSession.person_id) == person_id,
        col(SignInSession.ended_at).is_(None),
        col(SignInSession.lapses_at) > moment,
    )
    ended = session.execute(
        sa.update(SignInSession)
        .where(is_open)
        .values(ended_at=moment)
        .returning(col(SignInSession.sha256)),
        execution_options={"synchronize_session": False},
    )
    return len(ended.all())
