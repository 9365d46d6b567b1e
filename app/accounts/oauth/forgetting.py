"""Forgetting: codes, sessions, tries and revocations that can no longer matter."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import and_, col, delete

from app.accounts.oauth.models import (
    AuthorizationCode,
    RevokedToken,
    SignInSession,
    SignInTries,
)
from app.accounts.people.models import PasswordReset
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import job_actor

KEPT_FOR = timedelta(days=1)
"""A used code is kept longer than the token it gave lives: a second use must be seen."""


def forget_lapsed(installation: Installation) -> None:
    """Drop what lapsed a day ago; recurring work."""
    with installation.transaction(job_actor("accounts.sweep")) as session:
        moment = now(session)
        for model in (AuthorizationCode, SignInSession, RevokedToken, PasswordReset):
            session.execute(delete(model).where(col(model.lapses_at) < moment - KEPT_FOR))
        forgiven = and_(col(SignInTries.clear_at) < moment, col(SignInTries.blocked_until) < moment)
        session.execute(delete(SignInTries).where(forgiven))
