"""The ledger, invoices, payments, payouts, and the triggers that freeze what is posted."""

import sqlalchemy as sa
from alembic import op

from app.billing.triggers import BILLING_TRIGGERS
from app.db.columns import IdText, JsonText, UtcMoment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HASH = sa.String(64)
ENUM = sa.String(40)
REFERENCE = sa.String(255)
PERIOD = sa.String(7)


def upgrade() -> None:
    """Apply."""
    create_ledger()
    create_invoices()
    create_ranges()
    create_payments()
    create_payouts()
    for statement in BILLING_TRIGGERS[op.get_bind().dialect.name]:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Undo."""
    for table in (
        "payout",
        "payout_account",
        "webhook_received",
        "processor_customer",
        "payment",
        "period_closing",
        "invoice_series",
        "invoiced_range",
        "invoice_line",
        "invoice",
        "ledger_posting",
        "ledger_transfer",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for function in ("ledger_append_only", "invoice_refuse", "invoice_line_refuse"):
            op.execute(f"DROP FUNCTION {function}()")


def create_ledger() -> None:
    op.create_table(
        "ledger_transfer",
        sa.Column("id", IdText, nullable=False),
        sa.Column("cause", sa.String(100), nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.Column("posted_at", UtcMoment, nullable=False),
        sa.Column("facts", JsonText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transfer")),
        sa.UniqueConstraint("cause", name=op.f("uq_ledger_transfer_cause")),
    )
    op.create_table(
        "ledger_posting",
        sa.Column("transfer_id", IdText, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("debit_account", sa.String(80), nullable=False),
        sa.Column("credit_account", sa.String(80), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("kind", ENUM, nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "position", name=op.f("pk_ledger_posting")),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["ledger_transfer.id"],
            name=op.f("fk_ledger_posting_transfer_id"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_ledger_posting_amount")),
        sa.CheckConstraint(
            "debit_account <> credit_account", name=op.f("ck_ledger_posting_two_accounts")
        ),
        sa.CheckConstraint("position >= 0", name=op.f("ck_ledger_posting_position")),
    )
    for side in ("debit", "credit"):
        columns = [f"{side}_account", "currency"]
        op.create_index(f"ix_ledger_posting_{side}_account_currency", "ledger_posting", columns)


def create_invoices() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("period", PERIOD, nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("parties", JsonText, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in INVOICE_AMOUNTS),
        sa.Column("taxes", JsonText, nullable=False),
        sa.Column("fees", JsonText, nullable=False),
        sa.Column("number", sa.String(40), nullable=True),
        sa.Column("number_year", sa.BigInteger, nullable=True),
        sa.Column("number_seq", sa.BigInteger, nullable=True),
        sa.Column("content_sha256", HASH, nullable=True),
        sa.Column("issued_at", UtcMoment, nullable=True),
        sa.Column("due_at", UtcMoment, nullable=True),
        sa.Column("paid_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint(
            "provider_id",
            "buyer_id",
            "currency",
            "period",
            "scope",
            name=op.f("uq_invoice_provider_id_buyer_id_currency_period_scope"),
        ),
        sa.UniqueConstraint(
            "provider_id",
            "number_year",
            "number_seq",
            name=op.f("uq_invoice_provider_id_number_year_number_seq"),
        ),
        *(
            sa.CheckConstraint(text, name=op.f(f"ck_invoice_{name}"))
            for name, text in INVOICE_CHECKS.items()
        ),
    )
    op.create_index("ix_invoice_buyer_id", "invoice", ["buyer_id"])
    op.create_index("ix_invoice_period", "invoice", ["period"])
    op.create_index("ix_invoice_state_due_at", "invoice", ["state", "due_at"])
    create_lines()


INVOICE_AMOUNTS = ("net_minor", "vat_minor", "fee_minor", "gross_minor", "paid_minor")
INVOICE_CHECKS = {
    "amounts": "net_minor >= 0 AND vat_minor >= 0",
    "fee": "fee_minor BETWEEN 0 AND net_minor",
    "gross": "gross_minor = net_minor + vat_minor",
    "paid": "paid_minor BETWEEN 0 AND gross_minor",
    "paid_whole": "state <> 'paid' OR paid_minor = gross_minor",
    "paid_part": "state <> 'partly_paid' OR (paid_minor > 0 AND paid_minor < gross_minor)",
    "issued": (
        "(state = 'draft') = (number IS NULL) AND (number IS NULL) = (issued_at IS NULL)"
        " AND (number IS NULL) = (content_sha256 IS NULL)"
    ),
}


def create_lines() -> None:
    op.create_table(
        "invoice_line",
        sa.Column("id", IdText, nullable=False),
        sa.Column("invoice_id", IdText, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("contract_id", IdText, nullable=False),
        sa.Column("grant_id", IdText, nullable=False),
        sa.Column("listing_id", IdText, nullable=False),
        sa.Column("plan_id", IdText, nullable=False),
        sa.Column("terms_sha256", HASH, nullable=False),
        sa.Column("charge", sa.BigInteger, nullable=False),
        sa.Column("model", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("description", sa.String(400), nullable=False),
        sa.Column("meter", sa.String(10), nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("first_number", sa.BigInteger, nullable=True),
        sa.Column("last_number", sa.BigInteger, nullable=True),
        sa.Column("tiers", JsonText, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("vat_rate", sa.String(20), nullable=False),
        sa.Column("fee_rate", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_line")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")
        ),
        sa.UniqueConstraint(
            "invoice_id", "position", name=op.f("uq_invoice_line_invoice_id_position")
        ),
        *(
            sa.CheckConstraint(text, name=op.f(f"ck_invoice_line_{name}"))
            for name, text in LINE_CHECKS.items()
        ),
    )
    op.create_index("ix_invoice_line_contract_id", "invoice_line", ["contract_id"])
    op.create_index("ix_invoice_line_grant_id", "invoice_line", ["grant_id"])


LINE_CHECKS = {
    "units": "units >= 0",
    "events": "(units > 0) = (first_number IS NOT NULL)",
    "range": "(first_number IS NULL) = (last_number IS NULL)",
    "order": "last_number >= first_number AND first_number >= 1",
}


def create_ranges() -> None:
    op.create_table(
        "invoiced_range",
        sa.Column("grant_id", IdText, nullable=False),
        sa.Column("period", PERIOD, nullable=False),
        sa.Column("contract_id", IdText, nullable=False),
        sa.Column("first_number", sa.BigInteger, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("rated_units", sa.BigInteger, nullable=False),
        sa.Column("invoice_id", IdText, nullable=True),
        sa.Column("closed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "period", name=op.f("pk_invoiced_range")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoiced_range_invoice_id")
        ),
        sa.CheckConstraint(
            "first_number >= 1 AND last_number >= first_number - 1",
            name=op.f("ck_invoiced_range_range"),
        ),
        sa.CheckConstraint("rated_units >= 0", name=op.f("ck_invoiced_range_rated_units")),
        sa.CheckConstraint(
            "rated_units = 0 OR invoice_id IS NOT NULL", name=op.f("ck_invoiced_range_invoiced")
        ),
    )
    not_empty = sa.text("last_number >= first_number")
    op.create_index(
        "uq_invoiced_range_grant_id_first_number",
        "invoiced_range",
        ["grant_id", "first_number"],
        unique=True,
        sqlite_where=not_empty,
        postgresql_where=not_empty,
    )
    op.create_index("ix_invoiced_range_contract_id", "invoiced_range", ["contract_id"])
    op.create_index("ix_invoiced_range_invoice_id", "invoiced_range", ["invoice_id"])
    op.create_table(
        "invoice_series",
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("year", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "year", name=op.f("pk_invoice_series")),
        sa.CheckConstraint("last_seq >= 0", name=op.f("ck_invoice_series_last_seq")),
    )
    op.create_table(
        "period_closing",
        sa.Column("period", PERIOD, nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("requested_at", UtcMoment, nullable=False),
        sa.Column("closed_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_period_closing")),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_period_closing_closed_at")
        ),
    )


def create_payments() -> None:
    op.create_table(
        "payment",
        sa.Column("id", IdText, nullable=False),
        sa.Column("invoice_id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("method", sa.String(20), nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("settled_at", UtcMoment, nullable=True),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("checkout_session", REFERENCE, nullable=True),
        sa.Column("checkout_url", sa.Text, nullable=True),
        sa.Column("checkout_expires_at", UtcMoment, nullable=True),
        sa.Column("payment_intent", REFERENCE, nullable=True),
        sa.Column("charge", REFERENCE, nullable=True),
        sa.Column("fee_minor", sa.BigInteger, nullable=True),
        sa.Column("failure", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_invoice_id")),
        *(
            sa.UniqueConstraint(name, name=op.f(f"uq_payment_{name}"))
            for name in ("checkout_session", "payment_intent", "charge")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("fee_minor >= 0", name=op.f("ck_payment_fee")),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_payment_attempt")),
        sa.CheckConstraint(
            "state <> 'succeeded' OR settled_at IS NOT NULL", name=op.f("ck_payment_settled")
        ),
    )
    for column in ("invoice_id", "buyer_id", "provider_id"):
        op.create_index(f"ix_payment_{column}", "payment", [column])
    is_open = sa.text("state IN ('pending', 'pending_unknown', 'mismatch')")
    op.create_index(
        "uq_payment_open_invoice_id",
        "payment",
        ["invoice_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "processor_customer",
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("customer", REFERENCE, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_processor_customer")),
        sa.UniqueConstraint("customer", name=op.f("uq_processor_customer_customer")),
    )
    op.create_table(
        "webhook_received",
        sa.Column("id", REFERENCE, nullable=False),
        sa.Column("kind", REFERENCE, nullable=False),
        sa.Column("account", REFERENCE, nullable=True),
        sa.Column("subject_id", REFERENCE, nullable=True),
        sa.Column("payment_id", REFERENCE, nullable=True),
        sa.Column("payment_intent", REFERENCE, nullable=True),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("received_at", UtcMoment, nullable=False),
        sa.Column("handled_at", UtcMoment, nullable=True),
        sa.Column("outcome", sa.String(40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_received")),
    )


def create_payouts() -> None:
    op.create_table(
        "payout_account",
        sa.Column("organisation_id", IdText, nullable=False),
        sa.Column("account", REFERENCE, nullable=True),
        *(
            sa.Column(name, sa.Boolean, nullable=False)
            for name in ("may_receive", "pays_out", "details_submitted")
        ),
        sa.Column("links", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=True),
        sa.Column("url_expires_at", UtcMoment, nullable=True),
        sa.Column("requested_at", UtcMoment, nullable=False),
        sa.Column("checked_at", UtcMoment, nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_payout_account")),
        sa.UniqueConstraint("account", name=op.f("uq_payout_account_account")),
        sa.CheckConstraint(
            "NOT may_receive OR account IS NOT NULL", name=op.f("ck_payout_account_ready")
        ),
    )
    op.create_table(
        "payout",
        sa.Column("id", IdText, nullable=False),
        sa.Column("payment_id", IdText, nullable=False),
        sa.Column("invoice_id", IdText, nullable=False),
        sa.Column("provider_id", IdText, nullable=False),
        sa.Column("buyer_id", IdText, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("state", ENUM, nullable=False),
        sa.Column("created_at", UtcMoment, nullable=False),
        sa.Column("due_at", UtcMoment, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("sending_at", UtcMoment, nullable=True),
        sa.Column("transfer", REFERENCE, nullable=True),
        sa.Column("paid_at", UtcMoment, nullable=True),
        sa.Column("failure", sa.String(500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payout_payment_id")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_payout_payment_id")),
        sa.UniqueConstraint("transfer", name=op.f("uq_payout_transfer")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payout_amount")),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_payout_attempt")),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_payout_paid")),
    )
    for column in ("invoice_id", "provider_id"):
        op.create_index(f"ix_payout_{column}", "payout", [column])
    op.create_index("ix_payout_state_due_at", "payout", ["state", "due_at"])
