"""Rows: seats in the alliance, and the versions of its charter."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from app.accounts.alliance.membership import SeatRole, Term
from app.accounts.alliance.rules import Fraction, VotingRules
from app.accounts.models import REASON_CHARS, SHA256_CHARS
from app.db.columns import (
    day_field,
    enum_field,
    id_field,
    int_field,
    json_field,
    long_text_field,
    moment_field,
    ref_field,
    text_field,
)


class Seat(SQLModel, table=True):
    """A role of one organisation from a day until another; those of one role never overlap.

    `appointed_until_on` is the end that it was given, `until_on` the one that it has: they differ
    once it was ended early. A trigger beside the table refuses an overlap.
    """

    __tablename__ = "alliance_seat"
    __table_args__ = (
        sa.CheckConstraint("from_on < appointed_until_on", name="appointed"),
        sa.CheckConstraint("until_on BETWEEN from_on AND appointed_until_on", name="until_on"),
        sa.CheckConstraint("(ended_at IS NULL) = (until_on = appointed_until_on)", name="ended_at"),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_by"),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_reason IS NULL)", name="ended_reason"),
        sa.Index("ix_alliance_seat_organisation_id", "organisation_id", "role", "from_on"),
    )

    id: str = id_field()
    organisation_id: str = ref_field("organisation.id", index=False)
    role: SeatRole = enum_field(SeatRole)
    from_on: date = day_field()
    until_on: date = day_field(index=True)
    appointed_until_on: date = day_field()
    appointed_at: datetime = moment_field()
    appointed_by: str = text_field(32)
    ended_at: datetime | None = moment_field(nullable=True)
    ended_by: str | None = text_field(32, nullable=True)
    ended_reason: str | None = text_field(REASON_CHARS, nullable=True)

    @property
    def term(self) -> Term:
        """The days on which it is held."""
        return Term(self.from_on, self.until_on)


class Charter(SQLModel, table=True):
    """One version of the charter, in force from `effective_on` until the next one is.

    It never changes: a later version takes its place.
    """

    __tablename__ = "alliance_charter"
    __table_args__ = (
        sa.CheckConstraint("number >= 1", name="number"),
        sa.CheckConstraint("quorum_numerator BETWEEN 1 AND quorum_denominator", name="quorum"),
        sa.CheckConstraint(
            "majority_numerator BETWEEN 1 AND majority_denominator", name="majority"
        ),
    )

    id: str = id_field()
    number: int = int_field(unique=True)
    text: str = long_text_field()
    sha256: str = text_field(SHA256_CHARS)
    effective_on: date = day_field(unique=True)
    voting_roles: list[Any] = json_field()
    quorum_numerator: int = int_field()
    quorum_denominator: int = int_field()
    majority_numerator: int = int_field()
    majority_denominator: int = int_field()
    published_at: datetime = moment_field()
    published_by: str = text_field(32)

    @property
    def rules(self) -> VotingRules:
        """What it says of votes."""
        return VotingRules(
            voting_roles=frozenset(SeatRole(role) for role in self.voting_roles),
            quorum=Fraction(self.quorum_numerator, self.quorum_denominator),
            majority=Fraction(self.majority_numerator, self.majority_denominator),
        )
