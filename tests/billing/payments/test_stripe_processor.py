"""The processor by Stripe's own SDK, against the double over HTTP."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from app.billing.payments.processor import (
    CheckoutState,
    PaymentOrder,
    PaymentState,
    Processor,
    ProcessorNotConfigured,
    ProcessorRefused,
)
from app.billing.payments.stripe_processor import StripeProcessor, processor_of
from app.kernel.clock import SetClock
from app.kernel.ids import PaymentId, new_id
from app.sandbox.stripe_double.operations import OPERATIONS
from app.sandbox.stripe_double.running import RunningDouble
from app.settings import Settings
from tests.billing.payments.processing import (
    DAY,
    KEY,
    PAGES,
    a_receiver,
    a_transfer,
    an_order,
    an_organisation,
    yuan,
)
from tests.conftest import START
from tests.sandbox.sdk_parameters import problems


def test_the_processor_is_one_of_ours(processor: StripeProcessor) -> None:
    assert isinstance(processor, Processor)


def test_an_installation_without_a_key_has_no_processor(double: RunningDouble) -> None:
    with pytest.raises(ProcessorNotConfigured) as refused:
        processor_of(Settings())
    assert (refused.value.status, refused.value.slug) == (503, "processor-not-configured")
    found = processor_of(Settings(stripe_secret_key=KEY, stripe_api_base=double.url))
    assert found.create_customer(an_organisation(), "A").startswith("cus_")


def test_a_checkout_is_paid_and_looked_up_with_its_fee(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor)
    page = processor.open_checkout(order, *PAGES)
    assert (page.state, page.payment_intent, page.payment_id, page.amount) == (
        CheckoutState.OPEN,
        None,
        order.payment_id,
        order.amount,
    )
    assert page.url == f"{double.url}/pay/{page.session_id}"
    assert page.expires_at == START + DAY
    double.pay(page.session_id)
    page = processor.look_up_checkout(page.session_id)
    assert (page.state, page.url) == (CheckoutState.PAID, None)
    assert page.payment_intent is not None
    payment = processor.look_up_payment(page.payment_intent)
    assert (payment.state, payment.amount, payment.received, payment.fee) == (
        PaymentState.SUCCEEDED,
        order.amount,
        order.amount,
        yuan(300),
    )
    assert (payment.payment_id, payment.failure_code) == (order.payment_id, None)
    (charge,) = double.all_of("charge")
    assert (payment.charge, payment.balance_transaction) == (
        charge["id"],
        charge["balance_transaction"],
    )
    assert charge["transfer_group"] == order.payment_id


def test_a_checkout_is_expired_once(processor: StripeProcessor, double: RunningDouble) -> None:
    page = processor.open_checkout(an_order(processor), *PAGES)
    assert processor.expire_checkout(page.session_id).state is CheckoutState.EXPIRED
    assert processor.expire_checkout(page.session_id).state is CheckoutState.EXPIRED
    paid = processor.open_checkout(an_order(processor), *PAGES)
    double.pay(paid.session_id)
    with pytest.raises(ProcessorRefused):
        processor.expire_checkout(paid.session_id)


def test_a_saved_method_is_charged(processor: StripeProcessor) -> None:
    order = an_order(processor)
    payment = processor.charge_saved_method(order, "pm_card_visa")
    assert (payment.state, payment.fee) == (PaymentState.SUCCEEDED, yuan(300))
    assert processor.look_up_payment(payment.payment_intent) == payment


def test_a_declined_card_is_a_refusal_and_the_next_attempt_may_succeed(
    processor: StripeProcessor, clock: SetClock
) -> None:
    order = an_order(processor)
    with pytest.raises(ProcessorRefused) as refused:
        processor.charge_saved_method(order, "pm_card_chargeDeclinedInsufficientFunds")
    assert (refused.value.code, refused.value.decline_code) == (
        "card_declined",
        "insufficient_funds",
    )
    assert (refused.value.status, refused.value.slug) == (422, "processor-refused")
    (failed,) = processor.find_payments(order.customer, START, START + DAY)
    assert (failed.state, failed.fee, failed.failure_code) == (
        PaymentState.OPEN,
        None,
        "card_declined",
    )
    again = PaymentOrder(order.payment_id, order.amount, order.customer, order.description, 2)
    assert processor.charge_saved_method(again, "pm_card_visa").state is PaymentState.SUCCEEDED


def test_a_share_is_transferred_and_found_by_its_payment(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor)
    payment = processor.charge_saved_method(order, "pm_card_visa")
    transfer = a_transfer(order, payment.charge, a_receiver(processor, double))
    made = processor.transfer(transfer)
    assert (made.amount, made.created_at) == (yuan(9_850), START)
    assert list(processor.find_transfers(order.payment_id)) == [(transfer.payout_id, made)]
    assert list(processor.find_transfers(PaymentId(new_id("pay")))) == []
    (stored,) = double.all_of("transfer")
    assert stored["source_transaction"] == payment.charge
    assert stored["transfer_group"] == order.payment_id


def test_a_transfer_without_the_money_is_refused(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor, yuan(5_000))
    payment = processor.charge_saved_method(order, "pm_card_visa")
    with pytest.raises(ProcessorRefused) as refused:
        processor.transfer(a_transfer(order, payment.charge, a_receiver(processor, double)))
    assert refused.value.code == "amount_too_large"


def test_money_goes_back_by_refund_and_reversal(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor)
    payment = processor.charge_saved_method(order, "pm_card_visa")
    made = processor.transfer(a_transfer(order, payment.charge, a_receiver(processor, double)))
    assert processor.reverse_transfer("crn_1:1", made.transfer, yuan(9_850)).startswith("trr_")
    assert payment.charge is not None
    refund = processor.refund("crn_1", payment.charge, yuan(4_000))
    assert (refund.amount, refund.status) == (yuan(4_000), "succeeded")
    assert refund == processor.refund("crn_1", payment.charge, yuan(4_000))
    assert len(double.all_of("refund")) == 1


def test_a_provider_is_onboarded_by_a_link(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    organisation_id = an_organisation()
    account = processor.create_account(organisation_id)
    assert processor.create_account(organisation_id) == account
    standing = processor.look_up_account(account)
    assert (standing.may_receive, standing.pays_out, standing.details_submitted) == (False,) * 3
    link = processor.link_account(account, *PAGES)
    assert link.url.startswith(f"{double.url}/setup/")
    assert START < link.expires_at < START + DAY
    double.onboard(account)
    standing = processor.look_up_account(account)
    assert (standing.may_receive, standing.pays_out, standing.details_submitted) == (True,) * 3
    assert double.all_of("account")[0]["type"] == "express"


def test_balance_entries_are_listed_over_pages_and_within_their_time(
    processor: StripeProcessor, clock: SetClock
) -> None:
    order = an_order(processor)
    for attempt in range(1, 102):
        again = PaymentOrder(order.payment_id, yuan(106), order.customer, "x", attempt)
        processor.charge_saved_method(again, "pm_card_visa")
        clock.advance(timedelta(seconds=1))
    entries = list(processor.list_balance_entries(START, START + DAY))
    assert len(entries) == 101
    assert {(entry.kind, entry.amount, entry.fee, entry.net) for entry in entries} == {
        ("charge", yuan(106), yuan(3), yuan(103))
    }
    some = list(processor.list_balance_entries(START + timedelta(seconds=1), START + 2 * DAY / 1e4))
    assert [entry.created_at for entry in some] == [
        START + timedelta(seconds=second) for second in range(17, 0, -1)
    ]
    assert list(processor.list_balance_entries(START - DAY, START)) == []


def test_payments_and_pages_of_a_buyer_are_found_by_our_own_id(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order, other = an_order(processor), an_order(processor)
    processor.charge_saved_method(other, "pm_card_visa")
    page = processor.open_checkout(order, *PAGES)
    found = list(processor.find_checkouts(order.customer, START, START + DAY))
    assert found == [page]
    assert list(processor.find_payments(order.customer, START, START + DAY)) == []
    double.pay(page.session_id)
    (payment,) = processor.find_payments(order.customer, START, START + DAY)
    assert (payment.payment_id, payment.fee) == (order.payment_id, yuan(300))


def use_every_method(processor: StripeProcessor, double: RunningDouble) -> None:
    order = an_order(processor)
    account = a_receiver(processor, double)
    page = processor.open_checkout(order, *PAGES)
    processor.look_up_checkout(page.session_id)
    processor.expire_checkout(page.session_id)
    payment = processor.charge_saved_method(order, "pm_card_visa")
    processor.look_up_payment(payment.payment_intent)
    made = processor.transfer(a_transfer(order, payment.charge, account))
    processor.reverse_transfer("crn_1", made.transfer, yuan(9_850))
    assert payment.charge is not None
    processor.refund("crn_1", payment.charge, yuan(1))
    processor.link_account(account, *PAGES)
    processor.look_up_account(account)
    list(processor.find_payments(order.customer, START, START + DAY))
    list(processor.find_checkouts(order.customer, START, START + DAY))
    list(processor.find_transfers(order.payment_id))
    list(processor.list_balance_entries(START, START + DAY))


def operation_of(entry: dict[str, str]) -> str:
    for operation in OPERATIONS:
        pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
        if operation.method == entry["method"] and re.fullmatch(pattern, entry["path"]):
            return f"{operation.method} {operation.path}"
    raise AssertionError(entry)


def test_every_parameter_that_we_send_is_one_of_the_sdks(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    use_every_method(processor, double)
    sent = double.requests() + double.requests(method="GET")
    methods = {name for name in Processor.__dict__ if not name.startswith("_")}
    assert len({operation_of(entry) for entry in sent}) == len(methods - {"verify_webhook"})
    wrong = {
        operation_of(entry): found
        for entry in sent
        if (found := problems(operation_of(entry), entry["form"]))
    }
    assert wrong == {}


def test_every_change_carries_a_key_made_of_our_own_id(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    use_every_method(processor, double)
    keys = {operation_of(entry): entry["key"] for entry in double.requests()}
    # Here the SDK makes a random one, since we give none.
    random = keys.pop("POST /v1/account_links")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", random)
    assert {
        operation: re.sub(r"^(\w{3})_\w+:", r"\1:", key) for operation, key in keys.items()
    } == {
        "POST /v1/accounts": "org:account",
        "POST /v1/checkout/sessions": "pay:checkout:1",
        "POST /v1/checkout/sessions/{id}/expire": key_of_expiry(double),
        "POST /v1/customers": "org:customer",
        "POST /v1/payment_intents": "pay:charge:1",
        "POST /v1/refunds": "crn:refund:1",
        "POST /v1/transfers": "pyo:transfer:1",
        "POST /v1/transfers/{id}/reversals": "crn:reversal:1",
    }


def key_of_expiry(double: RunningDouble) -> str:
    return f"{double.all_of('checkout.session')[0]['id']}:expire"


def test_only_these_modules_import_the_sdk() -> None:
    root = Path(__file__).parents[3] / "app"
    importers = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == "stripe" for name in names):
                importers.add(file.relative_to(root).as_posix())
    assert importers == {
        "billing/payments/stripe_answers.py",
        "billing/payments/stripe_processor.py",
        "billing/payments/stripe_webhooks.py",
    }
