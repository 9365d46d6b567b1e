"""Ending: whatever a person is signed in by, everywhere, from now on."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.accounts.oauth.models import AuthorizationCode, SignInSession
from app.accounts.oauth.revoking import mark_revoked
from app.accounts.oauth.tokens import LIFE_S, SKEW_S
from app.db.session import now

TOKEN_LIFE = timedelta(seconds=LIFE_S + 2 * SKEW_S)


def end_everything(session: Session, person_id: str) -> int:
    """End the person's browser sessions, codes and access tokens; how many sessions were open."""
    ended = end_sessions(session, person_id)
    _take_back_tokens(session, person_id)
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


def _take_back_tokens(session: Session, person_id: str) -> None:
    """Every token of a person came of a code: the codes that are left give none, and what the
    used ones gave holds no longer."""
    moment = now(session)
    rows = session.exec(
        select(AuthorizationCode)
        .where(
            AuthorizationCode.person_id == person_id,
            # A code that is being exchanged just now has no `used_at` yet: the lock waits for it.
            col(AuthorizationCode.lapses_at) > moment - TOKEN_LIFE,
        )
        .order_by(col(AuthorizationCode.sha256))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for row in rows:
        if row.jti is None:
            row.lapses_at = min(row.lapses_at, moment)
        else:
            mark_revoked(session, row.jti, moment + TOKEN_LIFE)
