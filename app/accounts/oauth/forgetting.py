"""Forgetting: codes, refresh tokens, sessions, tries and revocations that can no longer matter."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import Session, and_, col, delete, select

from app.accounts.identity_providers.models import ProviderVisit
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
        lapsing = (
            RefreshToken,
            Delegation,
            SignInSession,
            RevokedToken,
            PasswordReset,
            ProviderVisit,
        )
        for model in lapsing:
            session.execute(delete(model).where(col(model.lapses_at) < over))
        _forget_tries(session)


def _forget_tries(session: Session) -> None:
    """Drop the tries that time has forgiven, and that nobody is counting just now.

    A delete locks its rows in the order in which it comes upon them, a sign-in always its
    address's first: if they waited for each other, PostgreSQL would end one of them.
    """
    moment = now(session)
    name, clear_at = col(SignInTries.name_sha256), col(SignInTries.clear_at)
    forgiven = and_(clear_at < moment, col(SignInTries.blocked_until) < moment)
    free = select(SignInTries.name_sha256).where(forgiven).with_for_update(skip_locked=True)
    session.execute(delete(SignInTries).where(name.in_(free)))
