"""Negotiations, versions of terms, signatures, contracts, holds and grants."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

HASH = sa.String(64)
ENUM = sa.String(40)


def upgrade() -> None:
    """Apply."""
    create_negotiations()
    create_contracts()


def downgrade() -> None:
    """Undo."""
    for table in (
        "data_grant",
        "contract_hold",
        "contract",
        "signature",
        "terms_version",
        "negotiation",
    ):
        op.drop_table(table)


def create_negotiations() -> None:
    op.create_table(
        "negotiation",
        sa.Column("id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("version_id", IdText, nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("terms_number", sa.BigInteger, nullable=False),
        sa.Column("requested_at", UtcMoment, nullable=False),
        sa.Column("moved_at", UtcMoment, nullable=False),
        sa.Column("terminated_by", ENUM, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_negotiation")),
        sa.CheckConstraint("buyer_id <> provider_id", name=op.f("ck_negotiation_two_parties")),
        sa.CheckConstraint("terms_number >= 1", name=op.f("ck_negotiation_terms_number")),
    )
    for column in ("buyer_id", "provider_id", "listing_id"):
        op.create_index(op.f(f"ix_negotiation_{column}"), "negotiation", [column])
    op.create_table(
        "terms_version",
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("negotiation_id", IdText, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("document", JsonText, nullable=False),
        sa.Column("canonical", sa.LargeBinary, nullable=False),
        sa.Column("proposed_by", ENUM, nullable=False),
        sa.Column("proposed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_terms_version")),
        sa.ForeignKeyConstraint(
            ["negotiation_id"], ["negotiation.id"], name=op.f("fk_terms_version_negotiation_id")
        ),
        sa.UniqueConstraint(
            "negotiation_id", "number", name=op.f("uq_terms_version_negotiation_id_number")
        ),
    )
    op.create_table(
        "signature",
        sa.Column("id", IdText, nullable=False),
        sa.Column("negotiation_id", IdText, nullable=False),
        sa.Column("terms_sha256", HASH, nullable=False),
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("side", ENUM, nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("jws", sa.String(2000), nullable=False),
        sa.Column("signed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature")),
        sa.ForeignKeyConstraint(
            ["negotiation_id"], ["negotiation.id"], name=op.f("fk_signature_negotiation_id")
        ),
        sa.ForeignKeyConstraint(
            ["terms_sha256"], ["terms_version.sha256"], name=op.f("fk_signature_terms_sha256")
        ),
        sa.UniqueConstraint(
            "terms_sha256",
            "organisation_id",
            name=op.f("uq_signature_terms_sha256_organisation_id"),
        ),
    )
    op.create_index(op.f("ix_signature_negotiation_id"), "signature", ["negotiation_id"])


def create_contracts() -> None:
    op.create_table(
        "contract",
        sa.Column("id", IdText, nullable=False),
        sa.Column("negotiation_id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("version_id", IdText, nullable=False),
        sa.Column("plan_id", IdText, nullable=False),
        sa.Column("terms_sha256", HASH, nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("starts_at", UtcMoment, nullable=False),
        sa.Column("ends_at", UtcMoment, nullable=False),
        sa.Column("activated_at", UtcMoment, nullable=False),
        sa.Column("ended_at", UtcMoment, nullable=True),
        sa.Column("ended_by", ENUM, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
        sa.ForeignKeyConstraint(
            ["negotiation_id"], ["negotiation.id"], name=op.f("fk_contract_negotiation_id")
        ),
        sa.ForeignKeyConstraint(
            ["terms_sha256"], ["terms_version.sha256"], name=op.f("fk_contract_terms_sha256")
        ),
        sa.UniqueConstraint("negotiation_id", name=op.f("uq_contract_negotiation_id")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_contract_dates")),
        sa.CheckConstraint(
            "(state IN ('active', 'suspended')) = (ended_at IS NULL)",
            name=op.f("ck_contract_ended_at"),
        ),
    )
    for column in ("buyer_id", "provider_id", "listing_id"):
        op.create_index(op.f(f"ix_contract_{column}"), "contract", [column])
    op.create_index("ix_contract_state_ends_at", "contract", ["state", "ends_at"])
    op.create_table(
        "contract_hold",
        sa.Column("contract_id", IdText, nullable=False),
        sa.Column("side", ENUM, nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("held_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("contract_id", "side", name=op.f("pk_contract_hold")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contract.id"], name=op.f("fk_contract_hold_contract_id")
        ),
    )
    op.create_table(
        "data_grant",
        sa.Column("id", IdText, nullable=False),
        sa.Column("contract_id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("reason", ENUM, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_grant")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contract.id"], name=op.f("fk_data_grant_contract_id")
        ),
        sa.UniqueConstraint("contract_id", name=op.f("uq_data_grant_contract_id")),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_data_grant_epoch")),
        sa.CheckConstraint("live = (reason IS NULL)", name=op.f("ck_data_grant_reason")),
    )
    for column in ("listing_id", "buyer_id"):
        op.create_index(op.f(f"ix_data_grant_{column}"), "data_grant", [column])
