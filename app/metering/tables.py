"""The usage store's tables. `grant_id` leads every key, so that they can be distributed by it.

Core tables and no rows of an ORM: the hot path reads and writes them by plain SQL. Times are whole
microseconds since the epoch (`…_us`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db.changes import feed_tables
from app.db.columns import IdText, JsonText, market_metadata
from app.db.sealed import INFO, Sealed

usage_metadata = sa.MetaData(naming_convention=market_metadata.naming_convention)

# A row that is updated with every batch: room on its page keeps its index entries still (HOT).
_HOT: dict[str, Any] = {"postgresql_with": {"fillfactor": 50}}
_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
# On PostgreSQL each month's partition has these keys as its own: `partitions.py`.
_ON_SQLITE: dict[str, Any] = {"dialect": "sqlite"}

Hash = sa.String(64)

GRANT_TOPIC = "grant"
"""On the change feed: a grant is other than before."""

_CREDENTIAL = Sealed(
    "upstream:{listing_id}",
    path=("upstream", "auth", "sealed"),
    announces=(GRANT_TOPIC, "grant_id"),
)

# SQLite builds a table of its own for a list of more than two, at each insert: half of its cost.
_KINDS = "kind = 'day' OR kind = 'month' OR kind = 'quarter' OR kind = 'year' OR kind = 'contract'"
_UNIT_KINDS = "kind = 'trial' OR kind = 'top_up' OR kind = 'goodwill' OR kind = 'carry_over'"
_METERS = "meter = 'call' OR meter = 'row' OR meter = 'byte' OR meter = 'item'"


def _id(name: str, *, primary_key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, IdText, primary_key=primary_key, nullable=nullable)


def _int(
    name: str, *, primary_key: bool = False, nullable: bool = False, default: str | None = None
) -> sa.Column[int]:
    return sa.Column(
        name,
        sa.BigInteger,
        primary_key=primary_key,
        nullable=nullable,
        server_default=default,
        autoincrement=False,
    )


grant_state = sa.Table(
    "grant_state",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _id("contract_id"),
    _id("listing_id"),
    _id("buyer_id"),
    _id("provider_id"),
    _int("epoch"),
    sa.Column("live", sa.Boolean, nullable=False),
    # False: no unit grant is left to burn, and a batch need not look for any.
    sa.Column("has_granted_units", sa.Boolean, nullable=False, server_default=sa.false()),
    _int("starts_at_us"),
    _int("ends_at_us"),
    _int("last_number", default="0"),
    _int("last_settled_at_us", default="0"),
    _int("sealed_to", default="0"),
    _int("totalled_to", default="0"),
    _int("archived_to", default="0"),
    sa.CheckConstraint("epoch >= 1", name="epoch"),
    sa.CheckConstraint("ends_at_us > starts_at_us", name="life"),
    sa.CheckConstraint("last_number >= 0 AND last_settled_at_us >= 0", name="last"),
    sa.CheckConstraint("sealed_to BETWEEN 0 AND last_number", name="sealed_to"),
    sa.CheckConstraint("totalled_to BETWEEN 0 AND last_number", name="totalled_to"),
    sa.CheckConstraint(
        "archived_to >= 0 AND archived_to <= sealed_to AND archived_to <= totalled_to",
        name="archived_to",
    ),
    sa.Index("ix_grant_state_buyer_id", "buyer_id"),
    sa.Index("ix_grant_state_provider_id", "provider_id"),
    sa.Index("ix_grant_state_contract_id", "contract_id"),
    **_HOT,
    **_CLUSTERED,
)
"""The lock of all calls on a grant, and the number of its last event."""

grant_terms = sa.Table(
    "grant_terms",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("epoch", primary_key=True),
    _id("plan_id"),
    _id("version_id"),
    sa.Column("terms_sha256", Hash, nullable=False),
    sa.Column("compiled", JsonText, nullable=False, info={INFO: _CREDENTIAL}),
    _int("applied_at_us"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    **_CLUSTERED,
)
"""Every compiled grant that was ever in force: an event's epoch says which terms admitted it."""

usage_window = sa.Table(
    "usage_window",
    usage_metadata,
    _id("grant_id", primary_key=True),
    sa.Column("meter", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    _int("starts_at_us", primary_key=True),
    _int("ends_at_us"),
    _int("limit_units", nullable=True),
    _int("used_units"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint(_KINDS, name="kind"),
    sa.CheckConstraint(_METERS, name="meter"),
    sa.CheckConstraint("ends_at_us > starts_at_us", name="bounds"),
    sa.CheckConstraint("used_units >= 0", name="used"),
    sa.CheckConstraint("limit_units IS NULL OR used_units <= limit_units", name="limit"),
    **_HOT,
    **_CLUSTERED,
)
"""Units used in one window. All quotas of one length share a counter; `limit_units` is the blocking
limit that the last unit was admitted under, null where nothing blocks."""

usage_event = sa.Table(
    "usage_event",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("number", primary_key=True),
    _id("event_id"),
    _int("epoch"),
    sa.Column("kind", sa.String(10), nullable=False),
    _int("voids", nullable=True),
    _int("settled_at_us"),
    sa.Column("meter", sa.String(10), nullable=False),
    _int("units"),
    _int("granted_units", default="0"),
    sa.Column("operation", sa.String(10), nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    _int("bytes"),
    sa.Column("request_sha256", Hash, nullable=False),
    # No foreign key: settling holds the state's row locked anyway, and each check would cost.
    sa.UniqueConstraint("grant_id", "event_id").ddl_if(**_ON_SQLITE),
    sa.CheckConstraint("number >= 1", name="number"),
    sa.CheckConstraint("units >= 0 AND bytes >= 0", name="quantities"),
    sa.CheckConstraint("granted_units BETWEEN 0 AND units", name="granted_units"),
    sa.CheckConstraint("status BETWEEN 100 AND 599", name="status"),
    sa.CheckConstraint(_METERS, name="meter"),
    sa.CheckConstraint(
        "(kind = 'posted' AND voids IS NULL) OR (kind = 'void' AND voids < number)", name="kind"
    ),
    # An event is taken back once; partial, so that the calls themselves pay nothing for it.
    sa.Index(
        "uq_usage_event_grant_id_voids",
        "grant_id",
        "voids",
        unique=True,
        sqlite_where=sa.text("voids IS NOT NULL"),
    ).ddl_if(**_ON_SQLITE),
    postgresql_partition_by="RANGE (settled_at_us)",
    **_CLUSTERED,
)
"""One settled call, or the taking back of one; never updated, and deleted only when archived.
`granted_units` of its units burned from unit grants: they count in no window, and cost nothing."""
usage_event.primary_key.ddl_if(**_ON_SQLITE)

unit_grant = sa.Table(
    "unit_grant",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _id("unit_grant_id", primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("meter", sa.String(10), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    _int("amount_units"),
    _int("burned_units", default="0"),
    _int("starts_at_us"),
    _int("ends_at_us"),
    _int("granted_at_us"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint(_UNIT_KINDS, name="kind"),
    sa.CheckConstraint(_METERS, name="meter"),
    sa.CheckConstraint("priority BETWEEN 0 AND 255", name="priority"),
    sa.CheckConstraint("burned_units >= 0 AND burned_units <= amount_units", name="burned"),
    sa.CheckConstraint("ends_at_us > starts_at_us", name="life"),
    sa.Index("ix_unit_grant_grant_id_ends_at_us", "grant_id", "ends_at_us"),
    **_HOT,
    **_CLUSTERED,
)
"""Units beside the quotas, and how many of them calls have burned; locked under the state's row."""

unit_burn = sa.Table(
    "unit_burn",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("number", primary_key=True),
    _id("unit_grant_id", primary_key=True),
    _int("units"),
    # No foreign keys: each would cost, and an event is taken away when it is archived.
    sa.CheckConstraint("units >= 1", name="units"),
    sa.Index("ix_unit_burn_grant_id_unit_grant_id", "grant_id", "unit_grant_id"),
    **_CLUSTERED,
)
"""How many units of the event of this number came from which unit grant."""

usage_key = sa.Table(
    "usage_key",
    usage_metadata,
    _id("grant_id", primary_key=True),
    sa.Column("key_sha256", Hash, primary_key=True),
    _id("event_id"),
    _int("number"),
    sa.Column("request_sha256", Hash, nullable=False),
    _int("replays"),
    # The ids of the latest voids that took back one of its deliveries, but not the event.
    sa.Column("broken_off", sa.String(500), nullable=False, server_default=""),
    _int("replay_until_us"),
    _int("expires_at_us"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint("replays >= 0", name="replays"),
    sa.CheckConstraint("replay_until_us <= expires_at_us", name="until"),
    sa.Index("ix_usage_key_expires_at_us", "expires_at_us"),
    **_CLUSTERED,
)
"""An Idempotency-Key that has posted an event, for the day in which it is remembered. `replays` is
how often its data were delivered beside the first time, what broke off not counted."""

usage_segment = sa.Table(
    "usage_segment",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("first_number", primary_key=True),
    _int("last_number"),
    sa.Column("root", Hash, nullable=False),
    _int("sealed_at_us"),
    _id("leaf_id", nullable=True),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint("first_number >= 1 AND last_number >= first_number", name="range"),
    **_CLUSTERED,
)
"""Events n…m under one Merkle root; `leaf_id` is the audit leaf that carries it."""

usage_period = sa.Table(
    "usage_period",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("closed_until_us", primary_key=True),
    _int("first_number"),
    _int("last_number"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint("first_number >= 1 AND last_number >= first_number - 1", name="range"),
    **_CLUSTERED,
)
"""What a closed period holds, as a range of numbers; an empty one ends before it begins."""

usage_report = sa.Table(
    "usage_report",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("number", primary_key=True),
    _id("provider_id"),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("source_id", sa.String(200), nullable=False),
    _int("occurred_at_us"),
    _int("counts_at_us"),
    _int("corrects", nullable=True),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    # Not led by the grant: whoever distributes the store gives this one table to its providers.
    sa.UniqueConstraint("provider_id", "source", "source_id"),
    sa.CheckConstraint("number >= 1", name="number"),
    sa.CheckConstraint("corrects >= 1 AND corrects < number", name="corrects"),
    **_CLUSTERED,
)
"""Which CloudEvent of its provider posted the event of this number, when that use occurred, and
the number of the event that it took the place of. It counts when it settles; a correction, when the
event did that it took the place of."""

usage_notice = sa.Table(
    "usage_notice",
    usage_metadata,
    _id("grant_id", primary_key=True),
    sa.Column("meter", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    _int("starts_at_us", primary_key=True),
    _int("limit_units", primary_key=True),
    sa.Column("percent", sa.SmallInteger, primary_key=True, autoincrement=False),
    _int("ends_at_us"),
    sa.Column("overage", sa.String(10), nullable=False),
    _int("used_units"),
    _int("seen_at_us"),
    _int("told_at_us", nullable=True),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint(_KINDS, name="kind"),
    sa.CheckConstraint(_METERS, name="meter"),
    sa.CheckConstraint("ends_at_us > starts_at_us", name="bounds"),
    sa.CheckConstraint("overage = 'block' OR overage = 'charge'", name="overage"),
    sa.CheckConstraint("limit_units > 0 AND used_units * 100 >= limit_units * percent", name="due"),
    sa.Index(
        "ix_usage_notice_untold",
        "grant_id",
        sqlite_where=sa.text("told_at_us IS NULL"),
        postgresql_where=sa.text("told_at_us IS NULL"),
    ),
    **_CLUSTERED,
)
"""A window that had reached `percent` of a limit when that was seen; each is told to both sides
once, which `told_at_us` remembers."""

notice_progress = sa.Table(
    "notice_progress",
    usage_metadata,
    _int("id", primary_key=True),
    _int("seen_to_us"),
    sa.CheckConstraint("id = 1", name="one_row"),
)
"""Up to when all use was looked through for windows that are to be told of."""

usage_total = sa.Table(
    "usage_total",
    usage_metadata,
    _id("grant_id", primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("meter", sa.String(10), primary_key=True),
    _int("units"),
    _int("granted_units"),
    _int("calls"),
    _int("bytes"),
    _int("first_number"),
    _int("last_number"),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.CheckConstraint(_METERS, name="meter"),
    sa.CheckConstraint("first_number >= 1 AND last_number >= first_number", name="range"),
    **_CLUSTERED,
)
"""What the grant's events up to `totalled_to` come to, by the day (Asia/Shanghai) in which they
were settled and by meter; what was taken back is taken off on the day when it was."""

usage_archive = sa.Table(
    "usage_archive",
    usage_metadata,
    sa.Column("month", sa.String(7), primary_key=True),
    _int("from_us"),
    _int("until_us"),
    sa.Column("file", sa.String(80), nullable=False),
    sa.Column("sha256", Hash, nullable=False),
    _int("bytes"),
    _int("events"),
    _int("written_at_us"),
    _id("leaf_id", nullable=True),
    _int("removed_at_us", nullable=True),
    sa.CheckConstraint("until_us > from_us", name="bounds"),
    sa.CheckConstraint("events >= 1", name="events"),
    sa.CheckConstraint("removed_at_us IS NULL OR leaf_id IS NOT NULL", name="removed"),
    **_CLUSTERED,
)
"""A month's events in a file; `leaf_id` is the audit leaf that carries the file's hash, and
`removed_at_us` when the last of the events had gone from the store."""

usage_archived = sa.Table(
    "usage_archived",
    usage_metadata,
    _id("grant_id", primary_key=True),
    _int("first_number", primary_key=True),
    _int("last_number"),
    sa.Column("month", sa.String(7), nullable=False),
    sa.ForeignKeyConstraint(["grant_id"], ["grant_state.grant_id"]),
    sa.ForeignKeyConstraint(["month"], ["usage_archive.month"]),
    sa.CheckConstraint("first_number >= 1 AND last_number >= first_number", name="range"),
    sa.Index("ix_usage_archived_month", "month"),
    **_CLUSTERED,
)
"""Which of a grant's events are in which month's file."""

feed_tables(usage_metadata)
