"""Rows of billing itself: the months that were asked to be closed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.db.columns import enum_field, moment_field


class ClosingState(StrEnum):
    """Whether every contract's month is on its invoice yet."""

    CLOSING = "closing"
    CLOSED = "closed"


class PeriodClosing(SQLModel, table=True):
    """A month that an admin has closed."""

    __tablename__ = "period_closing"
    __table_args__ = (
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_at"),
    )

    period: str = Field(sa_column=sa.Column(sa.String(7), primary_key=True))
    state: ClosingState = enum_field(ClosingState)
    requested_at: datetime = moment_field()
    closed_at: datetime | None = moment_field(nullable=True)
