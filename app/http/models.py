"""The one table that http owns: what was answered under which idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.db.columns import (
    IdText,
    bytes_field,
    int_field,
    json_field,
    moment_field,
    text_field,
)


class AnsweredRequest(SQLModel, table=True):
    """The answer that a POST got, kept for 24 hours under its caller's key.

    `body` is null when the answer held a secret: it is not kept, and not told twice.
    """

    __tablename__ = "answered_request"

    actor_id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    key: str = Field(sa_column=sa.Column(sa.String(255), primary_key=True))
    request_sha256: str = text_field(64)
    status: int = int_field()
    headers: dict[str, Any] = json_field()
    body: bytes | None = bytes_field(nullable=True)
    answered_at: datetime = moment_field(index=True)
