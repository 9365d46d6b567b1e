"""Do people's rows say what the log says of them? Invariant A1, read-only."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.accounts.people.models import PasswordReset
from app.audit.told import with_tales

LEAVES = ("person:reset_issued", "person:password_reset")


def problems(session: Session) -> Iterator[str]:
    """Resets of passwords that nobody issued, or that were used without a word."""
    rows = select(PasswordReset).order_by(col(PasswordReset.sha256))
    for reset, tale in with_tales(session, rows, LEAVES, lambda row: row.person_id):
        name = f"password reset of {reset.person_id}"
        if not tale.has("person:reset_issued", reset.issued_at):
            yield f"A1: {name} was issued without a leaf"
        elif reset.used_at is not None and not tale.has("person:password_reset", reset.used_at):
            yield f"A1: {name} was used without a leaf"
