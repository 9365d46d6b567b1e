"""Drawing and issuing invoices on a real store: once, numbered without gap, frozen."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from app.audit.models import Leaf
from app.billing.invoices.contents import invoice_document
from app.billing.invoices.drawing import draw_invoices
from app.billing.invoices.issuing import lines_of
from app.billing.invoices.models import Invoice, InvoicedRange
from app.billing.invoices.months import BilledContract, ContractMonth
from app.billing.invoices.triggers import FROZEN, MOVES
from app.billing.ledger.queries import account_balances
from app.billing.periods import Period
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical
from app.kernel.clock import SetClock
from app.listings.charges import Amount, Fixed, Graduated, Included, PerUnit, Tier, UnitPrice
from tests.billing.sales import NOVEMBER, contract_of, month_of, plan_of, prices_of

DECEMBER = NOVEMBER.following()
COPY_LINE = (
    "INSERT INTO invoice_line SELECT 'lin_x', invoice_id, 99, contract_id, grant_id, listing_id,"
    " plan_id, terms_sha256, charge, model, kind, description, meter, units, first_number,"
    " last_number, tiers, amount_minor, currency, vat_rate, fee_rate, late_for FROM invoice_line"
)


def draw(installation: Installation, *months: ContractMonth, final: bool = False) -> list[str]:
    with installation.transaction(OPERATOR) as session:
        return [str(one) for one in draw_invoices(session, months, final=final)]


def invoices(session: Session) -> list[Invoice]:
    return list(session.exec(select(Invoice).order_by(col(Invoice.id))))


def balances(session: Session) -> dict[str, int]:
    return {b.account: b.balance.minor for b in account_balances(session)}


def test_a_month_of_100_yuan_becomes_the_worked_invoice(
    installation: Installation, clock: SetClock
) -> None:
    clock.set_to(datetime(2026, 12, 1, 1, tzinfo=UTC))
    contract = contract_of()
    (invoice_id,) = draw(installation, month_of(contract, 100))
    with installation.transaction(OPERATOR, writes=False) as session:
        invoice = session.get_one(Invoice, invoice_id)
        assert (invoice.state.value, invoice.number, invoice.period) == (
            "issued",
            "2026-000001",
            "2026-11",
        )
        assert (invoice.net_minor, invoice.vat_minor, invoice.fee_minor) == (100_00, 6_00, 7_50)
        assert (invoice.gross_minor, invoice.paid_minor) == (106_00, 0)
        assert invoice.issued_at == clock.now()
        assert invoice.due_at == clock.now() + timedelta(days=15)
        assert invoice.taxes == [{"rate": "0.06", "net_minor": 100_00, "vat_minor": 6_00}]
        assert invoice.fees == [{"rate": "0.075", "net_minor": 100_00, "fee_minor": 7_50}]
        (line,) = lines_of(session, invoice_id)
        assert (line.units, line.first_number, line.last_number) == (100, 1, 100)
        assert (line.contract_id, line.grant_id) == (contract.contract_id, contract.grant_id)
        assert (line.amount_minor, line.vat_rate, line.fee_rate) == (100_00, "0.06", "0.075")
        assert balances(session) == {
            "receivable:org_buyer": 106_00,
            "payable:org_provider:pending": 98_50,
            "alliance:fees": 7_50,
        }


def test_the_leaf_of_the_issuing_holds_the_hash_of_what_the_invoice_says(
    installation: Installation,
) -> None:
    (invoice_id,) = draw(installation, month_of(contract_of(), 38))
    with installation.transaction(OPERATOR, writes=False) as session:
        invoice = session.get_one(Invoice, invoice_id)
        document = invoice_document(invoice, lines_of(session, invoice_id))
        leaf = session.exec(select(Leaf).where(Leaf.subject_id == invoice_id)).one()
    assert leaf.kind == "invoice:issued"
    assert leaf.organisations == ["org_buyer", "org_provider"]
    facts = json.loads(leaf.body)["facts"]
    assert facts["content_sha256"] == hashlib.sha256(canonical(document)).hexdigest()
    assert facts["content_sha256"] == invoice.content_sha256
    assert (facts["number"], facts["gross_minor"]) == ("2026-000001", 38_00 + 2_28)
    assert document["buyer"]["name"] == "买方有限公司"


def test_contracts_of_a_pair_share_one_invoice_and_each_price_its_own_units(
    installation: Installation,
) -> None:
    tiers = (Tier(100, UnitPrice("1.00", "CNY")), Tier(None, UnitPrice("0.80", "CNY")))
    cheap = prices_of(plan_of(Included(10, Graduated(tiers))), vat="0.13", fee="0.05")
    months = [month_of(contract_of(), 100), month_of(contract_of(prices=cheap), 111)]
    (invoice_id,) = draw(installation, *months)
    with installation.transaction(OPERATOR, writes=False) as session:
        lines = lines_of(session, invoice_id)
        assert [(line.kind, line.units, line.amount_minor) for line in lines] == [
            ("usage", 100, 100_00),
            ("included", 10, 0),
            ("usage", 101, 100_80),
        ]
        assert [(line.first_number, line.last_number) for line in lines[1:]] == [(1, 111)] * 2
        invoice = session.get_one(Invoice, invoice_id)
        # 100.00 × 6 % + 100.80 × 13 % = 6.00 + 13.104; 100.00 × 7.5 % + 100.80 × 5 %
        assert (invoice.vat_minor, invoice.fee_minor) == (19_10, 12_54)
        assert sum(balances(session).values()) == 2 * invoice.gross_minor


def test_what_was_drawn_is_not_drawn_again(installation: Installation) -> None:
    contract, other = contract_of(), contract_of()
    assert len(draw(installation, month_of(contract, 5))) == 1
    assert draw(installation, month_of(contract, 5)) == []
    assert draw(installation, month_of(contract, 5), final=True) == []
    # The month's invoice is out: what turns up later gets one of its own.
    late = draw(installation, month_of(contract, 5), month_of(other, 7))
    assert len(late) == 1
    with installation.transaction(OPERATOR, writes=False) as session:
        scopes = [(found.scope, found.net_minor) for found in invoices(session)]
    assert scopes == [("", 5_00), (other.contract_id, 7_00)]


def test_a_final_invoice_is_the_contracts_own_and_the_others_follow_at_the_months_end(
    installation: Installation,
) -> None:
    ended, living = contract_of(), contract_of()
    draw(installation, month_of(ended, 3), final=True)
    draw(installation, month_of(ended, 3), month_of(living, 4))
    with installation.transaction(OPERATOR, writes=False) as session:
        found = [(one.scope, one.net_minor, one.number) for one in invoices(session)]
    assert found == [
        (ended.contract_id, 3_00, "2026-000001"),
        ("", 4_00, "2026-000002"),
    ]


def test_what_costs_nothing_is_issued_as_paid_and_posts_nothing(
    installation: Installation,
) -> None:
    free = prices_of(plan_of(Included(100, PerUnit(UnitPrice("1.00", "CNY")))))
    (invoice_id,) = draw(installation, month_of(contract_of(prices=free), 60))
    with installation.transaction(OPERATOR, writes=False) as session:
        invoice = session.get_one(Invoice, invoice_id)
        assert (invoice.state.value, invoice.gross_minor) == ("paid", 0)
        assert invoice.paid_at == invoice.issued_at
        assert [(line.units, line.amount_minor) for line in lines_of(session, invoice_id)] == [
            (60, 0)
        ]
        assert balances(session) == {}


def test_a_month_without_use_is_closed_without_an_invoice(installation: Installation) -> None:
    contract = contract_of()
    assert draw(installation, month_of(contract, 0)) == []
    with installation.transaction(OPERATOR, writes=False) as session:
        assert invoices(session) == []
        row = session.get_one(InvoicedRange, (contract.grant_id, "2026-11"))
        assert (row.first_number, row.last_number, row.invoice_id) == (1, 0, None)


def test_what_is_due_at_signing_is_due_in_the_first_month_only(
    installation: Installation,
) -> None:
    contract = contract_of(prices=prices_of(plan_of(Fixed(Amount(30_000, "CNY")))))
    assert len(draw(installation, month_of(contract, 0))) == 1
    assert draw(installation, month_of(contract, 0, period=DECEMBER)) == []


def test_calls_given_back_in_a_later_month_count_against_its_use(
    installation: Installation,
) -> None:
    contract, january = contract_of(), Period(2027, 1)
    draw(installation, month_of(contract, 5))
    assert draw(installation, month_of(contract, -2, 6, DECEMBER)) == []
    (invoice_id,) = draw(installation, month_of(contract, 10, 8, january))
    with installation.transaction(OPERATOR, writes=False) as session:
        (line,) = lines_of(session, invoice_id)
        assert (line.units, line.amount_minor) == (8, 8_00)
        rows = session.exec(select(InvoicedRange).order_by(col(InvoicedRange.period)))
        assert [(row.units, row.rated_units) for row in rows] == [(5, 5), (-2, 0), (10, 8)]


def test_numbers_have_no_gap_for_each_issuer_and_year(
    installation: Installation, clock: SetClock
) -> None:
    clock.set_to(datetime(2026, 12, 31, 15, 59, tzinfo=UTC))
    draw(installation, month_of(contract_of("org_a", "org_x"), 1))
    with pytest.raises(RuntimeError), installation.transaction(OPERATOR) as session:
        draw_invoices(session, [month_of(contract_of("org_a", "org_y"), 1)])
        raise RuntimeError("after the number was taken")
    draw(installation, month_of(contract_of("org_a", "org_z"), 1))
    draw(installation, month_of(contract_of("org_b", "org_x"), 1))
    clock.set_to(datetime(2026, 12, 31, 16, 0, tzinfo=UTC))  # a new year in Shanghai
    draw(installation, month_of(contract_of("org_a", "org_x"), 1, period=DECEMBER))
    with installation.transaction(OPERATOR, writes=False) as session:
        found = [(one.provider_id, one.number) for one in invoices(session)]
    assert found == [
        ("org_a", "2026-000001"),
        ("org_a", "2026-000002"),
        ("org_b", "2026-000001"),
        ("org_a", "2027-000001"),
    ]


def test_parallel_runs_draw_one_invoice_and_leave_no_gap(installation: Installation) -> None:
    contracts = [contract_of("org_a", f"org_{n}") for n in range(4)]

    def run(_: int) -> int:
        return sum(len(draw(installation, month_of(one, 2))) for one in contracts)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 4
    with installation.transaction(OPERATOR, writes=False) as session:
        numbers = sorted(one.number or "" for one in invoices(session))
    assert numbers == [f"2026-{n:06}" for n in range(1, 5)]


def test_the_frozen_columns_are_all_but_those_that_paying_moves() -> None:
    assert set(FROZEN) | MOVES == set(Invoice.__table__.columns.keys())  # type: ignore[attr-defined]
    assert not set(FROZEN) & MOVES


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoice SET net_minor = 1, gross_minor = 1 + vat_minor",
        "UPDATE invoice SET number = '2026-000099'",
        "UPDATE invoice SET parties = '{}'",
        "DELETE FROM invoice_line",
        "UPDATE invoice_line SET units = units + 1",
        COPY_LINE,
        "UPDATE invoiced_range SET rated_units = 0",
        "DELETE FROM invoiced_range",
    ],
    ids=lambda statement: statement[:36],
)
def test_an_issued_invoice_is_frozen(installation: Installation, statement: str) -> None:
    draw(installation, month_of(contract_of(), 100))
    with pytest.raises(DBAPIError, match="frozen"), installation.market.begin() as connection:
        connection.execute(text(statement))


def test_an_issued_invoice_is_never_deleted(installation: Installation) -> None:
    draw(installation, month_of(contract_of(), 100))
    with pytest.raises(DBAPIError), installation.market.begin() as connection:
        connection.execute(text("DELETE FROM invoice"))


def test_months_of_different_pairs_are_never_mixed(installation: Installation) -> None:
    mixed: list[BilledContract] = [contract_of(), contract_of(buyer_id="org_other")]
    with pytest.raises(AssertionError):
        draw(installation, *(month_of(contract, 1) for contract in mixed))
