"""A double of Stripe on a set clock, and our processor pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.billing.payments.stripe_processor import StripeProcessor
from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import RunningDouble, running_double
from tests.billing.payments.processing import KEY


@pytest.fixture
def double(clock: SetClock) -> Iterator[RunningDouble]:
    with running_double(DoubleOptions(clock=clock)) as running:
        yield running


@pytest.fixture
def processor(double: RunningDouble) -> StripeProcessor:
    return StripeProcessor(KEY, double.url, read_timeout_s=1.0)
