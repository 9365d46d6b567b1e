"""A whole market on a set clock: the product on a real port, jobs by hand, a Stripe double."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.accounts.bootstrapping import ensure_operator
from app.accounts.oauth.liveness import AccountAuthenticator
from app.accounts.oauth.token_keys import ensure_token_key
from app.audit.log_keys import ensure_log_key
from app.db.installation import Installation
from app.jobs.worker import Worker
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.jwk import new_key
from app.main import create_product
from app.sandbox.deals import Listed, Wish, publish, sign_contract
from app.sandbox.goods import Goods
from app.sandbox.http_client import Client
from app.sandbox.parties import API, Party, create_party
from app.sandbox.seeding import BUYER, PROVIDER
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import RunningDouble, running_double
from app.wiring import JOBS, SCHEDULE
from tests.live import LiveServer, free_port

STRIPE_KEY = "sk_test_journey"
WEBHOOK_SECRET = "whsec_journey"


@dataclass
class Market:
    """Everything that a journey needs: who acts, what time it is, and the work behind requests."""

    installation: Installation
    clock: SetClock
    worker: Worker
    double: RunningDouble
    admin: Client
    provider: Party
    buyer: Party

    def run_jobs(self) -> None:
        """Run what waits, and what is due again and again, until nothing is left to do."""
        for _ in range(10):
            self.worker.run_schedule_once()
            if not self.worker.run_due():
                return

    def go_to(self, moment: datetime) -> None:
        """Let time pass; tokens lapse with it and clients fetch new ones by themselves."""
        self.clock.set_to(moment)
        self.run_jobs()

    def list_goods(self, goods: Goods) -> Listed:
        """A published listing of the provider's."""
        return publish(self.provider, self.admin, goods)

    def contract(
        self, listed: Listed, purpose: str, days: tuple[date, date], channel: str = ""
    ) -> dict[str, Any]:
        """A contract that both have signed, in force at the gateway."""
        channel = channel or ("upstream" if listed.slug.endswith("api") else "hosted")
        wish = Wish(listed.listing_id, listed.plan_id, purpose, channel, *days)
        contract = sign_contract(self.provider, self.buyer, wish, self.clock.now())
        self.run_jobs()
        return dict(contract)

    def wait_for(self, look: Any) -> Any:
        """What `look` finds, with jobs run between looks; for what a webhook brings."""
        for _ in range(100):
            if found := look():
                return found
            self.run_jobs()
            time.sleep(0.05)
        raise AssertionError("it did not happen")

    def pay(self, invoice_id: str) -> dict[str, Any]:
        """Pay an invoice on the checkout page and let its webhook arrive; the settled payment."""
        client = self.buyer.client
        asked = client.post(f"{API}/invoices/{invoice_id}/pay", {"method": "stripe"})
        assert asked["state"] == "pending"
        path = f"{API}/payments/{asked['payment_id']}"
        self.run_jobs()
        url = self.wait_for(lambda: client.get(path)["checkout_url"])
        self.double.pay(url.rstrip("/").rpartition("/")[2])

        def settled() -> Any:
            payment = client.get(path)
            return payment if payment["state"] == "succeeded" else None

        found: dict[str, Any] = self.wait_for(settled)
        return found


@pytest.fixture
def market(installation: Installation, clock: SetClock) -> Iterator[Market]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = DoubleOptions(
        webhook_url=f"{url}/webhooks/stripe", webhook_secret=WEBHOOK_SECRET, clock=clock
    )
    with running_double(options) as double:
        settings = msgspec.structs.replace(
            installation.settings,
            public_url=url,
            stripe_secret_key=STRIPE_KEY,
            stripe_api_base=double.url,
            stripe_webhook_secrets=(WEBHOOK_SECRET,),
            stripe_sandbox=True,
        )
        moved = dataclasses.replace(installation, settings=settings)
        with moved.transaction(OPERATOR) as session:
            ensure_log_key(session)
            ensure_token_key(session)
            client_id, secret = ensure_operator(session)
        assert secret is not None
        authenticator = AccountAuthenticator(moved)
        product = create_product(moved, authenticator, authenticator.verifier.verify)
        server = LiveServer(product, port).start()
        try:
            admin = Client(url, client_id, secret)
            at = clock.now() - timedelta(seconds=1)
            provider = create_party(admin, admin, PROVIDER, new_key(), at)
            buyer = create_party(admin, admin, BUYER, new_key(), at)
            worker = Worker(moved, JOBS, SCHEDULE)
            yield Market(moved, clock, worker, double, admin, provider, buyer)
        finally:
            server.stop()
