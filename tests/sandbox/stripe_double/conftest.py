"""A double of its own for each test, and the real SDK pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import stripe

from app.kernel.clock import SetClock
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import RunningDouble, running_double
from tests.conftest import START

KEY = "sk_test_of_the_sandbox"


def client_of(double: RunningDouble) -> stripe.StripeClient:
    session = requests.Session()
    session.trust_env = False
    return stripe.StripeClient(
        KEY,
        base_addresses={"api": double.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=5, session=session),
    )


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
def double(clock: SetClock) -> Iterator[RunningDouble]:
    with running_double(DoubleOptions(clock=clock)) as running:
        yield running


@pytest.fixture
def api(double: RunningDouble) -> stripe._v1_services.V1Services:
    return client_of(double).v1
