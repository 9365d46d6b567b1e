"""Lists are paged, newest first, and filtered as Stripe does."""

from __future__ import annotations

from datetime import timedelta

import pytest
import stripe

from app.kernel.clock import SetClock
from tests.sandbox.stripe_double.sales import Api, charged, paid


def test_pages_follow_one_another_in_both_directions(api: Api) -> None:
    ids = [api.customers.create({"name": str(number)}).id for number in range(5)]
    newest_first = ids[::-1]
    first = api.customers.list({"limit": 2})
    assert ([item.id for item in first], first.has_more) == (newest_first[:2], True)
    second = api.customers.list({"limit": 3, "starting_after": newest_first[1]})
    assert ([item.id for item in second], second.has_more) == (newest_first[2:], False)
    back = api.customers.list({"limit": 2, "ending_before": newest_first[4]})
    assert ([item.id for item in back], back.has_more) == (newest_first[2:4], True)
    assert [item.id for item in api.customers.list({"limit": 1}).auto_paging_iter()] == newest_first


def test_ten_are_listed_when_nobody_says_how_many(api: Api) -> None:
    for _ in range(11):
        api.customers.create({})
    page = api.customers.list()
    assert (len(page.data), page.has_more) == (10, True)


@pytest.mark.parametrize("limit", [0, 101, "x"])
def test_a_limit_has_bounds(api: Api, limit: object) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.customers.list({"limit": limit})


def test_a_cursor_that_is_not_there_is_refused(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.customers.list({"starting_after": "cus_0"})
    assert refused.value.param == "starting_after"


def test_created_bounds_a_list(api: Api, clock: SetClock) -> None:
    start = int(clock.now().timestamp())
    ids = []
    for _ in range(3):
        ids.append(api.customers.create({}).id)
        clock.advance(timedelta(seconds=10))

    def found(created: object) -> list[str]:
        return [item.id for item in api.customers.list({"created": created})][::-1]

    assert found({"gte": start + 10}) == ids[1:]
    assert found({"gt": start + 10}) == ids[2:]
    assert found({"lte": start + 10}) == ids[:2]
    assert found({"gte": start, "lt": start + 10}) == ids[:1]
    assert found(start + 20) == ids[2:]


def test_lists_filter_by_what_belongs_together(api: Api) -> None:
    customer = api.customers.create({}).id
    wanted = paid(api, customer=customer, transfer_group="pay_1")
    paid(api, transfer_group="pay_2")
    assert [i.id for i in api.payment_intents.list({"customer": customer})] == [wanted.id]
    assert [c.payment_intent for c in api.charges.list({"transfer_group": "pay_1"})] == [wanted.id]
    entries = api.balance_transactions.list({"type": "charge", "currency": "cny"})
    assert len(entries.data) == 2
    events = api.events.list({"types": ["charge.succeeded", "customer.created"]})
    assert [event.type for event in events].count("charge.succeeded") == 2


def test_what_cannot_be_expanded_is_refused(api: Api) -> None:
    charge = charged(api)
    expanded = api.charges.retrieve(charge.id, {"expand": ["payment_intent.latest_charge"]})
    assert expanded.payment_intent.latest_charge.id == charge.id
    with pytest.raises(stripe.InvalidRequestError, match=r"cannot be expanded \(nothing\)"):
        api.charges.retrieve(charge.id, {"expand": ["nothing"]})
