"""Money moves as at Stripe: every movement is a balance transaction, and nothing is paid twice."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
import stripe

from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import RunningDouble, running_double
from app.sandbox.stripe_double.world import Rules
from tests.sandbox.stripe_double.conftest import client_of
from tests.sandbox.stripe_double.sales import Api, charged, checkout, connected, held, paid


def refused(code: str) -> pytest.RaisesExc[stripe.InvalidRequestError]:
    return pytest.RaisesExc(stripe.InvalidRequestError, check=lambda error: error.code == code)


def test_a_payment_of_106_yuan_costs_3_yuan(api: Api) -> None:
    intent = paid(api)
    entry = intent.latest_charge.balance_transaction
    assert (intent.status, intent.amount_received) == ("succeeded", 10_600)
    assert (entry.amount, entry.fee, entry.net, entry.type) == (10_600, 300, 10_300, "charge")
    assert held(api) == 10_300


def test_a_payment_can_name_its_own_fee(api: Api) -> None:
    charge = charged(api, 10_600, metadata={"sandbox_fee_minor": "7"})
    assert charge.balance_transaction.fee == 7


def test_the_fee_is_a_rule_of_the_double() -> None:
    with running_double(DoubleOptions(rules=Rules(fee_rate=Fraction(1, 100)))) as double:
        assert charged(client_of(double).v1, 250).balance_transaction.fee == 2


def test_a_sale_of_the_worked_table_leaves_its_balances(api: Api, double: RunningDouble) -> None:
    charge = charged(api)
    provider = connected(api, double)
    transfer = api.transfers.create(
        {
            "amount": 9_850,
            "currency": "cny",
            "destination": provider.id,
            "source_transaction": charge.id,
        }
    )
    assert (held(api), held(api, provider.id)) == (450, 9_850)
    assert transfer.transfer_group == charge.transfer_group
    net = [entry.net for entry in api.balance_transactions.list()]
    assert net == [-9_850, 10_300]


@pytest.mark.parametrize(
    ("method", "decline"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_moves_nothing_and_another_may_be_tried(
    api: Api, method: str, decline: str
) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "cny"})
    with pytest.raises(stripe.CardError) as declined:
        api.payment_intents.confirm(intent.id, {"payment_method": method})
    assert (declined.value.code, declined.value.error.decline_code) == ("card_declined", decline)
    again = api.payment_intents.retrieve(intent.id)
    assert (again.status, again.last_payment_error.decline_code) == (
        "requires_payment_method",
        decline,
    )
    assert held(api) == 0
    done = api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (done.status, done.last_payment_error) == ("succeeded", None)


def test_an_intent_ends_once(api: Api) -> None:
    done = paid(api)
    canceled = api.payment_intents.cancel(
        api.payment_intents.create({"amount": 1, "currency": "cny"}).id
    )
    for intent in (done, canceled):
        with refused("payment_intent_unexpected_state"):
            api.payment_intents.cancel(intent.id)
        with refused("payment_intent_unexpected_state"):
            api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert len(api.charges.list().data) == 1


def test_a_refund_returns_the_money_and_not_the_fee(api: Api) -> None:
    charge = charged(api)
    api.refunds.create({"charge": charge.id, "amount": 4_000})
    assert held(api) == 6_300
    with refused("amount_too_large"):
        api.refunds.create({"charge": charge.id, "amount": 6_601})
    charged(api)
    api.refunds.create({"payment_intent": charge.payment_intent})
    assert held(api) == 10_300 - 4_000 + 10_300 - 6_600
    assert api.charges.retrieve(charge.id).refunded is True
    with refused("charge_already_refunded"):
        api.refunds.create({"charge": charge.id})


def test_a_refund_needs_the_money(api: Api) -> None:
    with refused("balance_insufficient"):
        api.refunds.create({"charge": charged(api).id})
    assert held(api) == 10_300


def test_a_transfer_needs_an_onboarded_account_of_ours(api: Api, double: RunningDouble) -> None:
    charge = charged(api)
    params = {"amount": 1, "currency": "cny", "source_transaction": charge.id}
    with refused("resource_missing"):
        api.transfers.create({**params, "destination": "acct_0"})
    waiting = api.accounts.create({"capabilities": {"transfers": {"requested": True}}})
    with refused("insufficient_capabilities_for_transfer"):
        api.transfers.create({**params, "destination": waiting.id})
    double.onboard(waiting.id)
    assert api.accounts.retrieve(waiting.id).payouts_enabled is True
    assert api.transfers.create({**params, "destination": waiting.id}).amount == 1


def test_transfers_never_exceed_their_charge_or_the_balance(
    api: Api, double: RunningDouble
) -> None:
    first, _ = charged(api), charged(api)
    account = connected(api, double).id
    common = {"currency": "cny", "destination": account}
    api.transfers.create({**common, "amount": 6_000, "source_transaction": first.id})
    with refused("amount_too_large"):
        api.transfers.create({**common, "amount": 4_601, "source_transaction": first.id})
    with refused("balance_insufficient"):
        api.transfers.create({**common, "amount": 14_601})
    api.transfers.create({**common, "amount": 14_600})
    assert (held(api), held(api, account)) == (0, 20_600)


def test_pending_money_moves_only_with_its_charge(clock: SetClock) -> None:
    rules = Rules(settle_after_s=3_600)
    with running_double(DoubleOptions(clock=clock, rules=rules)) as double:
        api = client_of(double).v1
        charge = charged(api)
        balance = api.balance.retrieve()
        assert (balance.available[0].amount, balance.pending[0].amount) == (0, 10_300)
        common = {"amount": 100, "currency": "cny", "destination": connected(api, double).id}
        with refused("balance_insufficient"):
            api.transfers.create(common)
        api.transfers.create({**common, "source_transaction": charge.id})
        clock.advance(timedelta(hours=1))
        assert held(api) == 10_200
        entry = api.balance_transactions.retrieve(charge.balance_transaction.id)
        assert entry.status == "available"


def test_a_reversal_takes_back_what_is_there(api: Api, double: RunningDouble) -> None:
    charged(api)
    account = connected(api, double).id
    transfer = api.transfers.create({"amount": 1_000, "currency": "cny", "destination": account})
    api.transfers.reversals.create(transfer.id, {"amount": 400})
    with refused("amount_too_large"):
        api.transfers.reversals.create(transfer.id, {"amount": 601})
    assert (held(api), held(api, account)) == (9_700, 600)
    api.payouts.create({"amount": 600, "currency": "cny"}, {"stripe_account": account})
    with refused("balance_insufficient"):
        api.transfers.reversals.create(transfer.id)
    again = api.transfers.retrieve(transfer.id)
    assert (again.amount_reversed, again.reversed) == (400, False)
    assert len(api.transfers.reversals.list(transfer.id).data) == 1


def test_a_failed_payout_comes_back(api: Api, double: RunningDouble) -> None:
    charged(api)
    account = connected(api, double).id
    api.transfers.create({"amount": 1_000, "currency": "cny", "destination": account})
    options = {"stripe_account": account}
    with refused("balance_insufficient"):
        api.payouts.create({"amount": 1_001, "currency": "cny"}, options)
    payout = api.payouts.create({"amount": 1_000, "currency": "cny"}, options)
    assert held(api, account) == 0
    double.settle_payout(payout.id, "failed")
    double.settle_payout(payout.id, "paid")
    assert held(api, account) == 1_000
    assert api.payouts.retrieve(payout.id, None, options).status == "failed"
    with refused("resource_missing"):
        api.payouts.retrieve(payout.id)


@pytest.mark.parametrize(("outcome", "left"), [("won", 10_300 - 1_500), ("lost", -300 - 1_500)])
def test_a_dispute_holds_the_money_until_it_is_closed(
    api: Api, double: RunningDouble, outcome: str, left: int
) -> None:
    charge = charged(api)
    dispute = double.open_dispute(charge.id)
    assert held(api) == -300 - 1_500
    with refused("charge_disputed"):
        api.refunds.create({"charge": charge.id})
    answered = api.disputes.update(dispute, {"evidence": {"product_description": "data"}})
    assert answered.status == "under_review"
    double.close_dispute(dispute, outcome)
    double.close_dispute(dispute, "lost")
    assert held(api) == left
    assert api.disputes.retrieve(dispute).status == outcome


def test_a_checkout_page_is_paid_once(api: Api, double: RunningDouble) -> None:
    customer = api.customers.create({}).id
    session = checkout(
        api,
        customer=customer,
        metadata={"payment_id": "pay_1"},
        payment_intent_data={"transfer_group": "pay_1", "metadata": {"payment_id": "pay_1"}},
    )
    assert (session.status, session.payment_intent) == ("open", None)
    double.pay(session.id)
    double.pay(session.id)
    session = api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    intent = session.payment_intent
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert (intent.amount, intent.customer, intent.transfer_group) == (10_600, customer, "pay_1")
    assert intent.metadata["payment_id"] == "pay_1"
    assert held(api) == 10_300
    with refused("resource_already_exists"):
        api.checkout.sessions.expire(session.id)


def test_a_declined_card_leaves_the_page_open(api: Api, double: RunningDouble) -> None:
    session = checkout(api)
    with pytest.raises(Exception, match="declined"):
        double.pay(session.id, decline="generic_decline")
    assert api.checkout.sessions.retrieve(session.id).status == "open"
    double.pay(session.id)
    assert len(double.all_of("payment_intent")) == 1


def test_a_page_expires_by_itself(api: Api, double: RunningDouble, clock: SetClock) -> None:
    soon = int(clock.now().timestamp()) + 1_800
    session = checkout(api, expires_at=soon)
    clock.advance(timedelta(seconds=1_800))
    with pytest.raises(Exception, match="expired"):
        double.pay(session.id)
    assert api.checkout.sessions.retrieve(session.id).status == "expired"
    kinds = [event.type for event in api.events.list()]
    assert kinds.count("checkout.session.expired") == 1


def test_a_kept_method_serves_only_its_customer(api: Api) -> None:
    owner, other = api.customers.create({}).id, api.customers.create({}).id
    method = api.payment_methods.attach("pm_card_visa", {"customer": owner}).id
    paid(api, customer=owner, payment_method=method, off_session=True)
    with pytest.raises(stripe.InvalidRequestError):
        paid(api, customer=other, payment_method=method)
    assert [kept.id for kept in api.payment_methods.list({"customer": owner})] == [method]
    api.payment_methods.detach(method)
    assert api.payment_methods.list({"customer": owner}).data == []
