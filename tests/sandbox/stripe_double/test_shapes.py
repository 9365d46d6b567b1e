"""Every object that the double answers has the keys and JSON types of Stripe's own example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.stripe_double.running import RunningDouble
from app.sandbox.stripe_double.world import API_VERSION
from tests.sandbox.stripe_double.sales import Api, charged, checkout, connected, paid

EXAMPLES = json.loads((Path(__file__).parents[2] / "data/stripe/objects.json").read_text("utf-8"))
# What an example does not show: an event of a connected account, a method that is not a card.
SOMETIMES = {"event": {"account"}, "payment_method": {"alipay", "card"}}


def everything(api: Api, double: RunningDouble) -> None:
    """Let every kind of object come into being, in every state that changes its shape."""
    customer = api.customers.create({"name": "A", "address": {"city": "重庆"}})
    kept = api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    api.payment_methods.create({"type": "alipay"})
    charge = charged(api, customer=customer.id, payment_method=kept.id, metadata={"a": "b"})
    api.refunds.create({"charge": charge.id, "amount": 100})
    api.payment_intents.cancel(api.payment_intents.create({"amount": 1, "currency": "cny"}).id)
    with pytest.raises(Exception, match="declined"):
        paid(api, payment_method="pm_card_chargeDeclined")
    open_session, paid_session = checkout(api), checkout(api, customer=customer.id)
    double.pay(paid_session.id)
    api.checkout.sessions.expire(open_session.id)
    checkout(api)
    account = connected(api, double)
    api.accounts.create({"controller": {"stripe_dashboard": {"type": "express"}}})
    transfer = api.transfers.create(
        {
            "amount": 500,
            "currency": "cny",
            "destination": account.id,
            "source_transaction": charge.id,
        }
    )
    api.transfers.reversals.create(transfer.id, {"amount": 100})
    on_account = {"stripe_account": account.id}
    for outcome in ("paid", "failed"):
        payout = api.payouts.create({"amount": 100, "currency": "cny"}, on_account)
        double.settle_payout(payout.id, outcome)
    for outcome in ("won", "lost"):
        double.close_dispute(double.open_dispute(charged(api).id), outcome)


def differences(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """Where a value has another JSON type than the example's; null is nobody's type."""
    if ours is None or theirs is None:
        return
    if type(ours) is not type(theirs):
        yield f"{where} is {type(ours).__name__}, not {type(theirs).__name__}"
    elif isinstance(ours, dict):
        for key in ours.keys() & theirs.keys():
            yield from differences(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list) and theirs:
        for index, item in enumerate(ours):
            yield from differences(item, theirs[0], f"{where}[{index}]")


def shape_problems(ours: dict[str, Any]) -> list[str]:
    kind = ours["object"]
    example = EXAMPLES[kind]
    extra = ours.keys() - example.keys() - SOMETIMES.get(kind, set())
    missing = example.keys() - ours.keys() - SOMETIMES.get(kind, set())
    inside = [] if kind == "event" else list(differences(ours, example, kind))
    return [*(f"+{name}" for name in extra), *(f"-{name}" for name in missing), *inside]


def test_every_object_has_the_shape_of_stripes_example(api: Api, double: RunningDouble) -> None:
    everything(api, double)
    objects = double.server.run(lambda: list(double.double.world.memory.objects.values()))
    link = api.account_links.create(
        {"account": double.all_of("account")[0]["id"], "type": "account_onboarding"}
    )
    answers = [*objects, link.to_dict(), api.balance.retrieve().to_dict()]
    assert {answer["object"] for answer in answers} == set(EXAMPLES)
    problems = {(answer["object"], *shape_problems(answer)) for answer in answers}
    assert {problem for problem in problems if len(problem) > 1} == set()


def test_the_double_speaks_the_version_that_the_sdk_asks_for(
    api: Api, double: RunningDouble
) -> None:
    api.customers.create({})
    assert double.requests()[0]["version"] == API_VERSION
    assert api.events.list().data[0].api_version == API_VERSION


def test_a_wrong_shape_is_seen() -> None:
    example = EXAMPLES["transfer"]
    assert shape_problems({**example, "amount": "1100"}) == ["transfer.amount is str, not int"]
    assert shape_problems({**example, "reversed": 0}) == ["transfer.reversed is int, not bool"]
    assert shape_problems({**example, "amuont": 1}) == ["+amuont"]


def test_a_list_has_the_shape_of_stripes(api: Api, double: RunningDouble) -> None:
    everything(api, double)
    for page in (api.charges.list(), api.events.list(), api.transfers.list(), api.payouts.list()):
        answer = page.to_dict()
        assert {"object", "data", "has_more", "url"} == answer.keys()
        assert answer["object"] == "list"
        assert [shape_problems(item) for item in answer["data"]] == [[]] * len(answer["data"])
