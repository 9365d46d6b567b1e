"""The one table of notices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from app.db.columns import foreign_id_field, id_field, json_field, moment_field, text_field

KIND_CHARS = 60
KEY_CHARS = 200


class Notice(SQLModel, table=True):
    """Something that one organisation was told. A token that carries `scope` may read it."""

    __tablename__ = "notice"
    __table_args__ = (
        sa.UniqueConstraint("organisation_id", "dedupe_key", name="uq_notice_dedupe_key"),
        sa.Index("ix_notice_organisation_id", "organisation_id", "id"),
        sa.Index(
            "ix_notice_unread",
            "organisation_id",
            "id",
            sqlite_where=sa.text("read_at IS NULL"),
            postgresql_where=sa.text("read_at IS NULL"),
        ),
    )

    id: str = id_field()
    organisation_id: str = foreign_id_field(index=False)
    kind: str = text_field(KIND_CHARS)
    subject_id: str = foreign_id_field(index=False)
    scope: str = text_field(40)
    facts: dict[str, Any] = json_field()
    dedupe_key: str = text_field(KEY_CHARS)
    told_at: datetime = moment_field()
    read_at: datetime | None = moment_field(nullable=True)
