"""Jobs, kept answers, and the audit log."""

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText, UtcMoment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    create_jobs()
    create_audit()


def downgrade() -> None:
    """Undo."""
    for table in (
        "audit_log_key",
        "audit_checkpoint",
        "audit_node",
        "audit_leaf",
        "answered_request",
        "job",
    ):
        op.drop_table(table)


def create_jobs() -> None:
    waiting = sa.text("done_at IS NULL AND failed_at IS NULL")
    op.create_table(
        "job",
        sa.Column("id", IdText, nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("payload", JsonText, nullable=False),
        sa.Column("dedupe_key", sa.String(200)),
        sa.Column("enqueued_at", UtcMoment, nullable=False),
        sa.Column("due_at", UtcMoment, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("leased_until", UtcMoment),
        sa.Column("lease_token", sa.String(40)),
        sa.Column("done_at", UtcMoment),
        sa.Column("failed_at", UtcMoment),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("dedupe_key", name="uq_job_dedupe_key"),
    )
    op.create_index(
        "ix_job_waiting", "job", ["due_at", "id"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_table(
        "answered_request",
        sa.Column("actor_id", IdText, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("headers", JsonText, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("answered_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name="pk_answered_request"),
    )
    op.create_index("ix_answered_request_answered_at", "answered_request", ["answered_at"])


def create_audit() -> None:
    unnumbered = sa.text("number IS NULL")
    op.create_table(
        "audit_leaf",
        sa.Column("id", IdText, nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("subject_id", sa.String(40), nullable=False),
        sa.Column("organisations", JsonText, nullable=False),
        sa.Column("recorded_at", UtcMoment, nullable=False),
        sa.Column("dedupe_key", sa.String(200)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_leaf"),
        sa.UniqueConstraint("dedupe_key", name="uq_audit_leaf_dedupe_key"),
        sa.UniqueConstraint("number", name="uq_audit_leaf_number"),
        sa.CheckConstraint("number >= 0", name=op.f("ck_audit_leaf_number")),
    )
    op.create_index("ix_audit_leaf_kind", "audit_leaf", ["kind"])
    op.create_index("ix_audit_leaf_subject_id", "audit_leaf", ["subject_id"])
    op.create_index(
        "ix_audit_leaf_unnumbered",
        "audit_leaf",
        ["id"],
        sqlite_where=unnumbered,
        postgresql_where=unnumbered,
    )
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name="pk_audit_node"),
        sa.CheckConstraint('level >= 0 AND "index" >= 0', name=op.f("ck_audit_node_place")),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("signed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoint"),
        sa.CheckConstraint("size >= 0", name=op.f("ck_audit_checkpoint_size")),
    )
    op.create_index("ix_audit_checkpoint_signed_at", "audit_checkpoint", ["signed_at"])
    op.create_table(
        "audit_log_key",
        sa.Column("id", IdText, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("verifier_key", sa.String(400), nullable=False),
        sa.Column("sealed_private", sa.Text, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log_key"),
    )
