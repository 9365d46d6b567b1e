"""What an outage of Stripe does: the identical request, repeated, takes the money once (F-B2)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.billing.payments.processor import (
    KeyNotAccepted,
    PaymentOrder,
    PaymentStanding,
    PaymentState,
    ProcessorBusy,
    ProcessorRefused,
    ProcessorUnknown,
)
from app.billing.payments.stripe_processor import StripeProcessor
from app.kernel.clock import SetClock
from app.kernel.money import Currency, Money
from app.sandbox.stripe_double.faults import FaultKind
from app.sandbox.stripe_double.running import RunningDouble
from tests.billing.payments.processing import DAY, KEY, PAGES, an_order, an_organisation, yuan
from tests.conftest import START


def charge(processor: StripeProcessor, order: PaymentOrder) -> PaymentStanding:
    return processor.charge_saved_method(order, "pm_card_visa")


def open_page(processor: StripeProcessor, order: PaymentOrder) -> object:
    return processor.open_checkout(order, *PAGES)


@pytest.mark.parametrize("call", [charge, open_page])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.CONFLICT, ProcessorBusy),
        (FaultKind.RATE_LIMIT, ProcessorBusy),
        (FaultKind.ERROR_BEFORE, ProcessorUnknown),
        (FaultKind.ERROR_AFTER, ProcessorUnknown),
        (FaultKind.TIMEOUT_BEFORE, ProcessorUnknown),
        (FaultKind.TIMEOUT_AFTER, ProcessorUnknown),
    ],
)
def test_the_identical_request_after_a_fault_takes_the_money_once(
    processor: StripeProcessor,
    double: RunningDouble,
    call: Callable[[StripeProcessor, PaymentOrder], object],
    kind: FaultKind,
    error: type[Exception],
) -> None:
    order = an_order(processor)
    before = len(double.requests())
    double.fail(kind)
    with pytest.raises(error):
        call(processor, order)
    assert len(double.requests()) == before + 1, "the SDK repeated by itself"
    call(processor, order)
    call(processor, order)
    made = double.all_of("charge") + double.all_of("checkout.session")
    assert len(made) == 1
    assert len({entry["key"] for entry in double.requests()[before:]}) == 1


def test_an_answer_that_comes_too_late_is_unknown(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor)
    double.fail(FaultKind.TIMEOUT_AFTER, seconds=1.5)
    with pytest.raises(ProcessorUnknown) as unknown:
        charge(processor, order)
    assert unknown.value.repeatable
    (payment,) = processor.find_payments(order.customer, START, START + DAY)
    assert (payment.payment_id, payment.state) == (order.payment_id, PaymentState.SUCCEEDED)


def test_a_key_of_another_request_may_have_happened_and_is_not_repeated(
    processor: StripeProcessor,
) -> None:
    order = an_order(processor)
    charge(processor, order)
    other = PaymentOrder(order.payment_id, yuan(1), order.customer, order.description)
    with pytest.raises(ProcessorUnknown) as unknown:
        charge(processor, other)
    assert not unknown.value.repeatable


def test_after_a_day_the_key_is_gone_and_the_payment_is_found_instead(
    processor: StripeProcessor, double: RunningDouble, clock: SetClock
) -> None:
    order = an_order(processor)
    double.fail(FaultKind.TIMEOUT_AFTER)
    with pytest.raises(ProcessorUnknown):
        charge(processor, order)
    clock.advance(DAY)
    (payment,) = processor.find_payments(order.customer, START, clock.now())
    assert payment.payment_id == order.payment_id
    charge(processor, order)
    assert len(double.all_of("charge")) == 2, "which is why one looks first"


def test_nobody_there_is_unknown() -> None:
    with pytest.raises(ProcessorUnknown):
        StripeProcessor(KEY, "http://127.0.0.1:9").look_up_payment("pi_1")


def test_a_key_that_is_not_accepted_is_the_operators_work_and_no_refusal(
    double: RunningDouble,
) -> None:
    for key in ("sk_test", "sk_live_x"):
        with pytest.raises(KeyNotAccepted) as refused:
            StripeProcessor(key, double.url).look_up_payment("pi_1")
        assert key not in str(refused.value)


def test_what_is_not_there_is_refused(processor: StripeProcessor) -> None:
    with pytest.raises(ProcessorRefused) as refused:
        processor.look_up_payment("pi_1")
    assert refused.value.code == "resource_missing"


def test_the_environments_proxy_never_gets_what_is_for_the_sandbox(
    double: RunningDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert StripeProcessor(KEY, double.url).create_customer(an_organisation(), "A")


def test_an_amount_that_is_not_ours_is_read_as_it_is(
    processor: StripeProcessor, double: RunningDouble
) -> None:
    order = an_order(processor)
    payment = processor.charge_saved_method(order, "pm_card_visa")
    double.distort(payment.payment_intent, amount_received=1, currency="hkd")
    seen = processor.look_up_payment(payment.payment_intent)
    assert seen.received == Money(1, Currency("HKD"))


def test_threads_share_a_processor(processor: StripeProcessor, double: RunningDouble) -> None:
    orders = [an_order(processor) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        payments = list(pool.map(lambda order: charge(processor, order), orders * 2))
    assert len({payment.payment_intent for payment in payments}) == 10
    assert len(double.all_of("charge")) == 10
