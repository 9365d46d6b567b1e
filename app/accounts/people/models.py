"""Rows: one-time resets of passwords."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.accounts.models import SHA256_CHARS
from app.db.columns import moment_field, ref_field, text_field


class PasswordReset(SQLModel, table=True):
    """A right to set a person's password once, named by the SHA-256 of its token.

    `ended_at` is when it was used, or when a newer one took its place.
    """

    __tablename__ = "password_reset"
    __table_args__ = (
        sa.CheckConstraint("used_at IS NULL OR used_at = ended_at", name="used_at"),
        sa.Index(
            "uq_password_reset_open",
            "person_id",
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    person_id: str = ref_field("person.id")
    issued_by: str = text_field(32)
    issued_at: datetime = moment_field()
    lapses_at: datetime = moment_field(index=True)
    used_at: datetime | None = moment_field(nullable=True)
    ended_at: datetime | None = moment_field(nullable=True)
