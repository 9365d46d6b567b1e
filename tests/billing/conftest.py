"""The till of billing's tests: the whole application with the Stripe double at its side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import running_double
from tests.billing.season import Season
from tests.billing.till import SECRET, Till, open_till
from tests.conftest import Api


@pytest.fixture
def till(installation: Installation, clock: SetClock) -> Iterator[Till]:
    options = DoubleOptions(clock=clock, webhook_secret=SECRET)
    with running_double(options) as double, open_till(installation, double) as opened:
        yield opened


@pytest.fixture
def season(installation: Installation, clock: SetClock, api: Api) -> Season:
    return Season(installation, clock, api)
