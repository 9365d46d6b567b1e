"""The queue's one table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from app.db.columns import (
    id_field,
    int_field,
    json_field,
    long_text_field,
    moment_field,
    text_field,
)


class Job(SQLModel, table=True):
    """A piece of work, enqueued in the transaction that made it necessary.

    Waiting while `done_at` and `failed_at` are null; held by a worker until `leased_until`.
    """

    __tablename__ = "job"
    __table_args__ = (
        sa.Index(
            "ix_job_waiting",
            "due_at",
            "id",
            sqlite_where=sa.text("done_at IS NULL AND failed_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL"),
        ),
    )

    id: str = id_field()
    kind: str = text_field(60)
    payload: dict[str, Any] = json_field()
    dedupe_key: str | None = text_field(200, nullable=True, unique=True)
    enqueued_at: datetime = moment_field()
    due_at: datetime = moment_field()
    attempts: int = int_field()
    leased_until: datetime | None = moment_field(nullable=True)
    lease_token: str | None = text_field(40, nullable=True)
    done_at: datetime | None = moment_field(nullable=True)
    failed_at: datetime | None = moment_field(nullable=True)
    last_error: str | None = long_text_field(nullable=True)
