"""Stripe goes away with a request in its hands: the payment waits and the money moves once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.goods import world_gdp
from app.sandbox.http_client import send
from app.sandbox.parties import API
from tests.conftest import Databases
from tests.deployment import Deployment, Sale
from tests.live import free_port

KEY = "sk_test_of_the_fault"
SECRET = "whsec_of_the_fault"
SESSIONS = "/v1/checkout/sessions"
CALLS = 30
WITHIN_S = 60


class DoubleProcess:
    """The double as a process that dies and comes back with what it had promised."""

    def __init__(self, folder: Path, webhook_url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            *(sys.executable, "-m", "app.sandbox.stripe_double", "--port", str(self.port)),
            *("--webhook-url", webhook_url, "--webhook-secret", SECRET),
            *("--state", str(folder / "double.json")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = send(method, self.url + path, content, headers)
        assert answer.status == 200, answer.body
        return answer.json()

    def asked_for_pages(self) -> list[Any]:
        """What was asked of it about checkout pages since it started."""
        return [
            one
            for one in self.ask("GET", "/_double/requests")
            if one["method"] == "POST" and one["path"] == SESSIONS
        ]

    def _answers(self) -> bool:
        try:
            self.ask("GET", "/_double/requests")
        except OSError:
            return False
        return True


def wait_until(look: Callable[[], Any]) -> Any:
    """What `look` finds once it finds something."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@pytest.fixture
def deployment(
    databases: Databases, engine_name: str, tmp_path: Path
) -> Iterator[tuple[Deployment, DoubleProcess]]:
    urls = {store: databases.empty_url(engine_name) for store in ("market", "usage")}
    deployment = Deployment(
        urls, stripe_secret_key=KEY, stripe_webhook_secrets=SECRET, stripe_sandbox="true"
    )
    double = DoubleProcess(tmp_path, f"{deployment.url}/webhooks/stripe")
    deployment.env["ZHIGU_STRIPE_API_BASE"] = double.url
    try:
        double.start()
        deployment.start()
        yield deployment, double
    finally:
        double.kill()
        deployment.close()


def invoice_of(deployment: Deployment, sale: Sale) -> dict[str, Any]:
    """The final invoice of some calls, issued when the contract has ended."""
    buyer = sale.buyer.client
    path = f"/data/{sale.listed.slug}/rows?limit=1"
    wait_until(lambda: buyer.call("GET", path, refusals=True).status == 200)
    for _ in range(CALLS - 1):
        assert buyer.call("GET", path).status == 200
    buyer.post(f"{API}/contracts/{sale.contract_id}/end", {"reason": "done"})

    def issued() -> Any:
        return [one for one in buyer.get(f"{API}/invoices")["items"] if one["state"] == "issued"]

    [invoice] = wait_until(issued)
    assert deployment.zhigu("fsck") == ""
    return dict(invoice)


def test_a_payment_waits_while_stripe_is_away_and_its_request_is_repeated_under_its_key(
    deployment: tuple[Deployment, DoubleProcess],
) -> None:
    ours, double = deployment
    sale = ours.sell(world_gdp(), channel="hosted")
    invoice = invoice_of(ours, sale)
    buyer = sale.buyer.client
    # It does the work and drops the connection without an answer; then it is gone altogether.
    double.ask("POST", "/_double/faults", {"kind": "timeout_after", "path": SESSIONS})
    asked = buyer.post(f"{API}/invoices/{invoice['id']}/pay", {"method": "stripe"})
    assert asked["state"] == "pending"
    [first] = wait_until(double.asked_for_pages)[:1]
    double.kill()

    def payment() -> Any:
        return buyer.get(f"{API}/payments/{asked['payment_id']}")

    wait_until(lambda: payment()["state"] == "pending_unknown")
    time.sleep(3)  # it is tried again meanwhile, and nobody is there
    waiting = payment()
    assert (waiting["state"], waiting["checkout_url"]) == ("pending_unknown", None)
    assert buyer.get(f"{API}/invoices/{invoice['id']}")["state"] == "issued"

    double.start()
    page = wait_until(lambda: payment()["checkout_url"])
    again = double.asked_for_pages()
    assert [(one["key"], one["form"]) for one in again] == [(first["key"], first["form"])]
    assert first["key"].startswith(asked["payment_id"])
    assert len(double.ask("GET", SESSIONS)["data"]) == 1
    assert send("POST", page, b"", {}).status < 400
    wait_until(lambda: payment()["state"] == "succeeded")
    [charge] = double.ask("GET", "/v1/charges")["data"]
    assert charge["amount"] == invoice["gross"]["amount_minor"]
    assert buyer.get(f"{API}/invoices/{invoice['id']}")["state"] == "paid"
    assert ours.zhigu("fsck") == ""
