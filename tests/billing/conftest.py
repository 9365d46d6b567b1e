"""The till of billing's tests: the whole application with the Stripe double at its side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import running_double
from tests.billing.season import Season
from tests.billing.till import SECRET, Till, open_till
from tests.conftest import Api
from tests.listings.examples import price


@pytest.fixture
def till(installation: Installation, clock: SetClock) -> Iterator[Till]:
    options = DoubleOptions(clock=clock, webhook_secret=SECRET)
    with running_double(options) as double, open_till(installation, double) as opened:
        yield opened


@pytest.fixture
def season(installation: Installation, clock: SetClock, api: Api) -> Season:
    return Season(installation, clock, api)


INCLUDED = {
    "model": "included",
    "units": 2,
    "then": {"model": "per_unit", "unit_price": price("1.00")},
}


@pytest.fixture
def used(season: Season) -> Season:
    """Two months of a contract, of which the first is closed, and one that has ended."""
    living, ended = season.sign(), season.sign(INCLUDED)
    season.use(living, "2026-11-03 09:00:00", 5)
    season.use(ended, "2026-11-03 09:00:00", 5)
    season.use(living, "2026-12-03 09:00:00", 3)
    season.set_clock("2026-12-01 00:00:00")
    season.close("2026-11")
    season.end(ended)
    season.work()
    return season


@pytest.fixture
def sold(till: Till, clock: SetClock) -> Till:
    """One sale that is paid and paid out, one that is paid in part, one that is open."""
    till.onboard()
    till.paid()
    clock.advance(timedelta(days=7))
    till.work()
    payment_id = till.pay(till.invoice(), amount={"amount_minor": 10_00, "currency": "CNY"})
    till.work()
    till.complete(payment_id)
    till.deliver()
    till.work()
    till.invoice(7)
    return till
