"""Rows: negotiations, versions of terms, signatures, contracts, holds on them, grants, units."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.contracts.states import ContractState, NegotiationState, Side, UnitKind
from app.db.columns import (
    EnumText,
    IdText,
    bool_field,
    bytes_field,
    enum_field,
    foreign_id_field,
    id_field,
    int_field,
    json_field,
    moment_field,
    ref_field,
    text_field,
)

SHA256_CHARS = 64
REASON_CHARS = 500
CAUSE_CHARS = 60


class Negotiation(SQLModel, table=True):
    """Two parties on their way to a contract; what they talk about is in its newest terms."""

    __tablename__ = "negotiation"
    __table_args__ = (
        sa.CheckConstraint("buyer_id <> provider_id", name="two_parties"),
        sa.CheckConstraint("terms_number >= 1", name="terms_number"),
    )

    id: str = id_field()
    buyer_id: str = foreign_id_field()
    provider_id: str = foreign_id_field()
    listing_id: str = foreign_id_field()
    version_id: str = foreign_id_field(index=False)
    state: NegotiationState = enum_field(NegotiationState)
    terms_number: int = int_field()
    requested_at: datetime = moment_field()
    moved_at: datetime = moment_field()
    terminated_by: Side | None = enum_field(Side, nullable=True)
    reason: str | None = text_field(REASON_CHARS, nullable=True)


class TermsVersion(SQLModel, table=True):
    """One version of the terms, never changed: the document and the very bytes that are signed.

    The document names its negotiation and number, so no two versions share a hash.
    """

    __tablename__ = "terms_version"
    __table_args__ = (sa.UniqueConstraint("negotiation_id", "number"),)

    sha256: str = Field(sa_column=sa.Column(sa.String(SHA256_CHARS), primary_key=True))
    negotiation_id: str = ref_field("negotiation.id", index=False)
    number: int = int_field()
    document: dict[str, Any] = json_field()
    canonical: bytes = bytes_field()
    proposed_by: Side = enum_field(Side)
    proposed_at: datetime = moment_field()


class Signature(SQLModel, table=True):
    """One party's signature under one version: at most one, whoever is faster."""

    __tablename__ = "signature"
    __table_args__ = (sa.UniqueConstraint("terms_sha256", "organisation_id"),)

    id: str = id_field()
    negotiation_id: str = ref_field("negotiation.id")
    terms_sha256: str = Field(
        sa_column=sa.Column(
            sa.String(SHA256_CHARS), sa.ForeignKey("terms_version.sha256"), nullable=False
        )
    )
    organisation_id: str = foreign_id_field(index=False)
    side: Side = enum_field(Side)
    kid: str = text_field(SHA256_CHARS)
    jws: str = text_field(2000)
    signed_at: datetime = moment_field()


class Contract(SQLModel, table=True):
    """Terms that both have signed: `[starts_at, ends_at)` as they say, `ended_at` as it came.

    `invoiced_at` is when billing had nothing left to invoice of one that has ended.
    """

    __tablename__ = "contract"
    __table_args__ = (
        sa.CheckConstraint("starts_at < ends_at", name="dates"),
        sa.CheckConstraint(
            "(state IN ('active', 'suspended')) = (ended_at IS NULL)", name="ended_at"
        ),
        sa.Index("ix_contract_state_ends_at", "state", "ends_at"),
        # What is billed for good is never looked at again, however many there are.
        sa.Index(
            "ix_contract_to_bill",
            "activated_at",
            sqlite_where=sa.text("invoiced_at IS NULL"),
            postgresql_where=sa.text("invoiced_at IS NULL"),
        ),
    )

    id: str = id_field()
    negotiation_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("negotiation.id"), nullable=False, unique=True)
    )
    buyer_id: str = foreign_id_field()
    provider_id: str = foreign_id_field()
    listing_id: str = foreign_id_field()
    version_id: str = foreign_id_field(index=False)
    plan_id: str = foreign_id_field(index=False)
    terms_sha256: str = Field(
        sa_column=sa.Column(
            sa.String(SHA256_CHARS), sa.ForeignKey("terms_version.sha256"), nullable=False
        )
    )
    state: ContractState = enum_field(ContractState)
    starts_at: datetime = moment_field()
    ends_at: datetime = moment_field()
    activated_at: datetime = moment_field()
    ended_at: datetime | None = moment_field(nullable=True)
    ended_by: Side | None = enum_field(Side, nullable=True)
    reason: str | None = text_field(REASON_CHARS, nullable=True)
    invoiced_at: datetime | None = moment_field(nullable=True)


class Hold(SQLModel, table=True):
    """One side's suspension of a contract: only that side lifts it."""

    __tablename__ = "contract_hold"

    contract_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("contract.id"), primary_key=True)
    )
    side: Side = Field(sa_column=sa.Column(EnumText(Side), primary_key=True))
    reason: str | None = text_field(REASON_CHARS, nullable=True)
    held_at: datetime = moment_field()


class DataGrant(SQLModel, table=True):
    """The right to call that a contract gives; each change of it is a new epoch."""

    __tablename__ = "data_grant"
    __table_args__ = (
        sa.CheckConstraint("epoch >= 1", name="epoch"),
        sa.CheckConstraint("live = (reason IS NULL)", name="reason"),
    )

    id: str = id_field()
    contract_id: str = Field(
        sa_column=sa.Column(IdText, sa.ForeignKey("contract.id"), nullable=False, unique=True)
    )
    listing_id: str = foreign_id_field()
    buyer_id: str = foreign_id_field()
    epoch: int = int_field()
    live: bool = bool_field()
    reason: ContractState | None = enum_field(ContractState, nullable=True)


class UnitGrant(SQLModel, table=True):
    """Units beside a contract's quotas, free of charge; never changed, burned in the usage store.

    `cause` says once per grant why: the trial, a window that left units over, or its own id.
    """

    __tablename__ = "granted_units"
    __table_args__ = (
        sa.UniqueConstraint("grant_id", "cause"),
        sa.CheckConstraint("amount_units >= 1", name="amount"),
        sa.CheckConstraint("priority BETWEEN 0 AND 255", name="priority"),
        sa.CheckConstraint("starts_at < ends_at", name="life"),
    )

    id: str = id_field()
    contract_id: str = ref_field("contract.id")
    grant_id: str = ref_field("data_grant.id", index=False)
    kind: UnitKind = enum_field(UnitKind)
    cause: str = text_field(CAUSE_CHARS)
    meter: str = text_field(10)
    priority: int = int_field()
    amount_units: int = int_field()
    starts_at: datetime = moment_field()
    ends_at: datetime = moment_field()
    side: Side | None = enum_field(Side, nullable=True)
    reason: str | None = text_field(REASON_CHARS, nullable=True)
    granted_at: datetime = moment_field()
