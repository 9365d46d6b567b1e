"""Orders for the processor of these tests."""

from __future__ import annotations

from datetime import timedelta

from app.billing.payments.processor import PaymentOrder, Processor, TransferOrder
from app.kernel.ids import OrganisationId, PaymentId, PayoutId, new_id
from app.kernel.money import CNY, Money
from app.sandbox.stripe_double.running import RunningDouble

KEY = "sk_test_of_the_sandbox"
PAGES = ("http://127.0.0.1:8000/paid", "http://127.0.0.1:8000/back")
DAY = timedelta(days=1)


def yuan(minor: int) -> Money:
    return Money(minor, CNY)


def an_organisation() -> OrganisationId:
    return OrganisationId(new_id("org"))


def an_order(processor: Processor, amount: Money | None = None, attempt: int = 1) -> PaymentOrder:
    customer = processor.create_customer(an_organisation(), "买方")
    payment_id = PaymentId(new_id("pay"))
    return PaymentOrder(payment_id, amount or yuan(10_600), customer, "Invoice 2026-0001", attempt)


def a_receiver(processor: Processor, double: RunningDouble) -> str:
    account = processor.create_account(an_organisation())
    double.onboard(account)
    return account


def a_transfer(order: PaymentOrder, charge: str | None, account: str) -> TransferOrder:
    payout_id = PayoutId(new_id("pyo"))
    assert charge is not None
    return TransferOrder(payout_id, yuan(9_850), account, charge, order.payment_id)
