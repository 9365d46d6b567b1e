"""Forgetting: codes, refresh tokens, sessions, tries and revocations that can no longer matter."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import and_, col, delete, select

from app.accounts.oauth.models import (
    AuthorizationCode,
    Delegation,
    RefreshToken,
    RevokedToken,
    SignInSession,
    SignInTries,
)
from app.accounts.people.models import PasswordReset
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import job_actor

KEPT_FOR = timedelta(days=1)
"""A used code or refresh token is kept while what it gave lives: a second use must be seen."""


def forget_lapsed(installation: Installation) -> None:
    """Drop what lapsed a day ago; recurring work."""
    with installation.transaction(job_actor("accounts.sweep")) as session:
        moment = now(session)
        over = moment - KEPT_FOR
        dead = select(Delegation.id).where(Delegation.lapses_at < over)
        for child in (AuthorizationCode, RefreshToken):
            session.execute(delete(child).where(col(child.delegation_id).in_(dead)))
        for model in (RefreshToken, Delegation, SignInSession, RevokedToken, PasswordReset):
            session.execute(delete(model).where(col(model.lapses_at) < over))
        forgiven = and_(col(SignInTries.clear_at) < moment, col(SignInTries.blocked_until) < moment)
        session.execute(delete(SignInTries).where(forgiven))
