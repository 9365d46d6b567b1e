"""The usage store: grant states, windows, events, keys, segments, periods, the change feed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.columns import IdText, JsonText
from app.metering.history.partitions import POSTGRES_PARTITIONS
from app.metering.tally.postgres_functions import DROP, POSTGRES_FUNCTIONS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

HASH = sa.String(64)
KINDS = "kind = 'day' OR kind = 'month' OR kind = 'quarter' OR kind = 'year' OR kind = 'contract'"
UNIT_KINDS = "kind = 'trial' OR kind = 'top_up' OR kind = 'goodwill' OR kind = 'carry_over'"
METERS = "meter = 'call' OR meter = 'row' OR meter = 'byte' OR meter = 'item'"
HOT: dict[str, Any] = {"postgresql_with": {"fillfactor": 50}}
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
TABLES = (
    "change",
    "change_counter",
    "grant_state",
    "grant_terms",
    "usage_window",
    "usage_event",
    "unit_grant",
    "unit_burn",
    "usage_key",
    "usage_segment",
    "usage_period",
    "usage_report",
)


def upgrade() -> None:
    """Apply."""
    create_feed()
    create_grants()
    create_counting()
    create_units()
    create_ranges()
    create_reports()
    if not on_sqlite():
        for statement in (*POSTGRES_PARTITIONS, *POSTGRES_FUNCTIONS):
            op.execute(statement)


def downgrade() -> None:
    """Undo."""
    if not on_sqlite():
        for statement in DROP:
            op.execute(statement)
    for table in reversed(TABLES):
        op.drop_table(table)


def number(name: str) -> Any:
    return sa.Column(name, sa.BigInteger, nullable=False)


def text_id(name: str) -> Any:
    return sa.Column(name, IdText, nullable=False)


def on_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")


def event_keys() -> list[Any]:
    """On PostgreSQL each partition has keys of its own."""
    if not on_sqlite():
        return []
    return [
        sa.PrimaryKeyConstraint("grant_id", "number", name=op.f("pk_usage_event")),
        sa.UniqueConstraint("grant_id", "event_id", name=op.f("uq_usage_event_grant_id_event_id")),
    ]


def create_feed() -> None:
    op.create_table(
        "change",
        number("number"),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        number("at_us"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_change")),
    )
    op.create_table(
        "change_counter",
        number("id"),
        number("last_number"),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_counter_one_row")),
        sa.CheckConstraint("last_number >= 0", name=op.f("ck_change_counter_last_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_counter")),
    )


def create_grants() -> None:
    op.create_table(
        "grant_state",
        text_id("grant_id"),
        text_id("contract_id"),
        text_id("listing_id"),
        text_id("buyer_id"),
        text_id("provider_id"),
        number("epoch"),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("has_granted_units", sa.Boolean(), server_default=sa.false(), nullable=False),
        number("starts_at_us"),
        number("ends_at_us"),
        sa.Column("last_number", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("last_settled_at_us", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("sealed_to", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("totalled_to", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("archived_to", sa.BigInteger, server_default="0", nullable=False),
        sa.CheckConstraint("ends_at_us > starts_at_us", name=op.f("ck_grant_state_life")),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_grant_state_epoch")),
        sa.CheckConstraint(
            "last_number >= 0 AND last_settled_at_us >= 0", name=op.f("ck_grant_state_last")
        ),
        sa.CheckConstraint(
            "sealed_to BETWEEN 0 AND last_number", name=op.f("ck_grant_state_sealed_to")
        ),
        sa.CheckConstraint(
            "totalled_to BETWEEN 0 AND last_number", name=op.f("ck_grant_state_totalled_to")
        ),
        sa.CheckConstraint(
            "archived_to >= 0 AND archived_to <= sealed_to AND archived_to <= totalled_to",
            name=op.f("ck_grant_state_archived_to"),
        ),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_grant_state")),
        **HOT,
        **CLUSTERED,
    )
    op.create_index("ix_grant_state_buyer_id", "grant_state", ["buyer_id"], unique=False)
    op.create_index("ix_grant_state_contract_id", "grant_state", ["contract_id"], unique=False)
    op.create_index("ix_grant_state_provider_id", "grant_state", ["provider_id"], unique=False)
    op.create_table(
        "grant_terms",
        text_id("grant_id"),
        number("epoch"),
        text_id("plan_id"),
        text_id("version_id"),
        sa.Column("terms_sha256", HASH, nullable=False),
        sa.Column("compiled", JsonText, nullable=False),
        number("applied_at_us"),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_grant_terms_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "epoch", name=op.f("pk_grant_terms")),
        **CLUSTERED,
    )


def create_counting() -> None:
    op.create_table(
        "usage_window",
        text_id("grant_id"),
        sa.Column("meter", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        number("starts_at_us"),
        number("ends_at_us"),
        sa.Column("limit_units", sa.BigInteger, nullable=True),
        number("used_units"),
        sa.CheckConstraint(
            KINDS,
            name=op.f("ck_usage_window_kind"),
        ),
        sa.CheckConstraint(METERS, name=op.f("ck_usage_window_meter")),
        sa.CheckConstraint("ends_at_us > starts_at_us", name=op.f("ck_usage_window_bounds")),
        sa.CheckConstraint(
            "limit_units IS NULL OR used_units <= limit_units", name=op.f("ck_usage_window_limit")
        ),
        sa.CheckConstraint("used_units >= 0", name=op.f("ck_usage_window_used")),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_window_grant_id")
        ),
        sa.PrimaryKeyConstraint(
            "grant_id", "meter", "kind", "starts_at_us", name=op.f("pk_usage_window")
        ),
        **HOT,
        **CLUSTERED,
    )
    op.create_table(
        "usage_event",
        text_id("grant_id"),
        number("number"),
        text_id("event_id"),
        number("epoch"),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("voids", sa.BigInteger, nullable=True),
        number("settled_at_us"),
        sa.Column("meter", sa.String(length=10), nullable=False),
        number("units"),
        sa.Column("granted_units", sa.BigInteger, server_default="0", nullable=False),
        sa.Column("operation", sa.String(length=10), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        number("bytes"),
        sa.Column("request_sha256", HASH, nullable=False),
        sa.CheckConstraint(
            "(kind = 'posted' AND voids IS NULL) OR (kind = 'void' AND voids < number)",
            name=op.f("ck_usage_event_kind"),
        ),
        sa.CheckConstraint(METERS, name=op.f("ck_usage_event_meter")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_usage_event_number")),
        sa.CheckConstraint("status BETWEEN 100 AND 599", name=op.f("ck_usage_event_status")),
        sa.CheckConstraint("units >= 0 AND bytes >= 0", name=op.f("ck_usage_event_quantities")),
        sa.CheckConstraint(
            "granted_units BETWEEN 0 AND units", name=op.f("ck_usage_event_granted_units")
        ),
        *event_keys(),
        postgresql_partition_by="RANGE (settled_at_us)",
        **CLUSTERED,
    )
    if on_sqlite():
        op.create_index(
            "uq_usage_event_grant_id_voids",
            "usage_event",
            ["grant_id", "voids"],
            unique=True,
            sqlite_where=sa.text("voids IS NOT NULL"),
        )
    op.create_table(
        "usage_key",
        text_id("grant_id"),
        sa.Column("key_sha256", HASH, nullable=False),
        text_id("event_id"),
        number("number"),
        sa.Column("request_sha256", HASH, nullable=False),
        number("replays"),
        sa.Column("broken_off", sa.String(length=500), server_default="", nullable=False),
        number("replay_until_us"),
        number("expires_at_us"),
        sa.CheckConstraint("replay_until_us <= expires_at_us", name=op.f("ck_usage_key_until")),
        sa.CheckConstraint("replays >= 0", name=op.f("ck_usage_key_replays")),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_key_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "key_sha256", name=op.f("pk_usage_key")),
        **CLUSTERED,
    )
    op.create_index("ix_usage_key_expires_at_us", "usage_key", ["expires_at_us"], unique=False)


def create_units() -> None:
    op.create_table(
        "unit_grant",
        text_id("grant_id"),
        text_id("unit_grant_id"),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("meter", sa.String(length=10), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        number("amount_units"),
        sa.Column("burned_units", sa.BigInteger, server_default="0", nullable=False),
        number("starts_at_us"),
        number("ends_at_us"),
        number("granted_at_us"),
        sa.CheckConstraint(UNIT_KINDS, name=op.f("ck_unit_grant_kind")),
        sa.CheckConstraint(METERS, name=op.f("ck_unit_grant_meter")),
        sa.CheckConstraint("priority BETWEEN 0 AND 255", name=op.f("ck_unit_grant_priority")),
        sa.CheckConstraint(
            "burned_units >= 0 AND burned_units <= amount_units",
            name=op.f("ck_unit_grant_burned"),
        ),
        sa.CheckConstraint("ends_at_us > starts_at_us", name=op.f("ck_unit_grant_life")),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_unit_grant_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "unit_grant_id", name=op.f("pk_unit_grant")),
        **HOT,
        **CLUSTERED,
    )
    op.create_index("ix_unit_grant_grant_id_ends_at_us", "unit_grant", ["grant_id", "ends_at_us"])
    op.create_table(
        "unit_burn",
        text_id("grant_id"),
        number("number"),
        text_id("unit_grant_id"),
        number("units"),
        sa.CheckConstraint("units >= 1", name=op.f("ck_unit_burn_units")),
        sa.PrimaryKeyConstraint("grant_id", "number", "unit_grant_id", name=op.f("pk_unit_burn")),
        **CLUSTERED,
    )
    op.create_index(
        "ix_unit_burn_grant_id_unit_grant_id", "unit_burn", ["grant_id", "unit_grant_id"]
    )


def create_ranges() -> None:
    op.create_table(
        "usage_segment",
        text_id("grant_id"),
        number("first_number"),
        number("last_number"),
        sa.Column("root", HASH, nullable=False),
        number("sealed_at_us"),
        sa.Column("leaf_id", IdText, nullable=True),
        sa.CheckConstraint(
            "first_number >= 1 AND last_number >= first_number", name=op.f("ck_usage_segment_range")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_segment_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "first_number", name=op.f("pk_usage_segment")),
        **CLUSTERED,
    )
    op.create_table(
        "usage_period",
        text_id("grant_id"),
        number("closed_until_us"),
        number("first_number"),
        number("last_number"),
        sa.CheckConstraint(
            "first_number >= 1 AND last_number >= first_number - 1",
            name=op.f("ck_usage_period_range"),
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_period_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "closed_until_us", name=op.f("pk_usage_period")),
        **CLUSTERED,
    )


def create_reports() -> None:
    op.create_table(
        "usage_report",
        text_id("grant_id"),
        number("number"),
        text_id("provider_id"),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("source_id", sa.String(length=200), nullable=False),
        number("occurred_at_us"),
        number("counts_at_us"),
        sa.Column("corrects", sa.BigInteger, nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_usage_report_number")),
        sa.CheckConstraint(
            "corrects >= 1 AND corrects < number", name=op.f("ck_usage_report_corrects")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant_state.grant_id"], name=op.f("fk_usage_report_grant_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", "number", name=op.f("pk_usage_report")),
        sa.UniqueConstraint(
            "provider_id",
            "source",
            "source_id",
            name=op.f("uq_usage_report_provider_id_source_source_id"),
        ),
        **CLUSTERED,
    )
