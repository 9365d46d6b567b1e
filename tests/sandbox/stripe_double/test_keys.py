"""One idempotency key: one effect, one answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import stripe

from app.kernel.clock import SetClock
from app.sandbox.stripe_double.faults import FaultKind
from app.sandbox.stripe_double.running import RunningDouble
from tests.sandbox.stripe_double.sales import Api, charged, connected, held, paid

KEY = {"idempotency_key": "pay_1:charge:1"}
PAYMENT = {
    "amount": 500,
    "currency": "cny",
    "payment_method": "pm_card_visa",
    "confirm": True,
}


def test_the_same_request_gets_the_answer_of_the_first(api: Api) -> None:
    first = api.payment_intents.create(PAYMENT, KEY)
    api.refunds.create({"payment_intent": first.id, "amount": 10})
    second = api.payment_intents.create(PAYMENT, KEY)
    assert second.to_dict() == first.to_dict()
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(api.charges.list().data) == 1


def test_the_kept_answer_does_not_change_with_its_object(api: Api) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "cny"}, KEY)
    api.payment_intents.cancel(intent.id)
    again = api.payment_intents.create({"amount": 500, "currency": "cny"}, KEY)
    assert again.status == "requires_payment_method"


@pytest.mark.parametrize("change", [{"amount": 501}, {"description": "x"}])
def test_another_request_under_the_key_is_refused(api: Api, change: dict[str, object]) -> None:
    api.payment_intents.create(PAYMENT, KEY)
    with pytest.raises(stripe.IdempotencyError) as refused:
        api.payment_intents.create({**PAYMENT, **change}, KEY)
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        api.customers.create({}, KEY)
    assert held(api) == 500 - round(500 * 3 / 106)


def test_a_refusal_while_executing_is_kept_too(api: Api, double: RunningDouble) -> None:
    account = connected(api, double).id
    params = {"amount": 10_300, "currency": "cny", "destination": account}
    with pytest.raises(stripe.InvalidRequestError) as first:
        api.transfers.create(params, KEY)
    charged(api)
    with pytest.raises(stripe.InvalidRequestError) as second:
        api.transfers.create(params, KEY)
    assert second.value.json_body == first.value.json_body
    assert second.value.headers["Idempotent-Replayed"] == "true"
    assert api.transfers.create(params, {"idempotency_key": "another"}).amount == 10_300


def test_a_declined_card_is_declined_again(api: Api) -> None:
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            paid_with_key(api, "pm_card_chargeDeclined")
    assert len(api.payment_intents.list().data) == 1


def paid_with_key(api: Api, method: str) -> object:
    return api.payment_intents.create({**PAYMENT, "payment_method": method}, KEY)


def test_a_request_that_failed_validation_is_not_kept(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.create({**PAYMENT, "amount": 0}, KEY)
    assert api.payment_intents.create(PAYMENT, KEY).status == "succeeded"


def test_a_key_is_forgotten_after_a_day(api: Api, clock: SetClock) -> None:
    first = api.payment_intents.create(PAYMENT, KEY)
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert api.payment_intents.create(PAYMENT, KEY).id == first.id
    clock.advance(timedelta(seconds=1))
    assert api.payment_intents.create(PAYMENT, KEY).id != first.id


def test_of_parallel_requests_under_one_key_one_works_and_the_rest_get_409(
    api: Api, double: RunningDouble
) -> None:
    double.fail(FaultKind.SLOW, "/v1/payment_intents", seconds=0.3)

    def attempt(_: int) -> str:
        try:
            return str(api.payment_intents.create(PAYMENT, KEY).status)
        except stripe.APIError as error:
            return str(error.http_status)

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(attempt, range(5)))
    assert sorted(outcomes) == ["409"] * 4 + ["succeeded"]
    assert len(double.all_of("charge")) == 1
    assert api.payment_intents.create(PAYMENT, KEY).status == "succeeded"


def test_keys_of_two_accounts_are_two_keys(api: Api, double: RunningDouble) -> None:
    charged(api)
    account = connected(api, double).id
    api.transfers.create({"amount": 100, "currency": "cny", "destination": account})
    payout = {"amount": 100, "currency": "cny"}
    ours = api.payouts.create(payout, KEY)
    theirs = api.payouts.create(payout, {**KEY, "stripe_account": account})
    assert ours.id != theirs.id


def test_nothing_is_done_for_an_account_that_it_would_not_belong_to(
    api: Api, double: RunningDouble
) -> None:
    account = connected(api, double).id
    with pytest.raises(stripe.InvalidRequestError, match="on behalf"):
        api.payment_intents.create(PAYMENT, {"stripe_account": account})
    with pytest.raises(stripe.InvalidRequestError, match="No such account"):
        api.payouts.create({"amount": 1, "currency": "cny"}, {"stripe_account": "acct_0"})
    assert double.all_of("charge") == []


def test_a_key_has_a_longest_length(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.customers.create({}, {"idempotency_key": "k" * 256})


def test_reading_takes_no_notice_of_a_key(api: Api) -> None:
    intent = paid(api)
    for _ in range(2):
        assert api.payment_intents.retrieve(intent.id, {}, KEY).status == "succeeded"
    assert api.payment_intents.create(PAYMENT, KEY).status == "succeeded"
