"""A restart forgets nothing: objects, balances, keys, pages and webhooks that were not taken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
import stripe

from app import serving
from app.kernel.clock import SetClock
from app.sandbox import threads
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import running_double
from app.sandbox.stripe_double.snapshots import FIELDS
from app.sandbox.stripe_double.world import Memory
from tests.sandbox.calling import request
from tests.sandbox.stripe_double.conftest import client_of
from tests.sandbox.stripe_double.receiving import SECRET, receiving
from tests.sandbox.stripe_double.sales import checkout, held, paid

KEY = {"idempotency_key": "k"}
ROOT = Path(__file__).parents[3]


def test_a_snapshot_holds_every_part_of_the_memory() -> None:
    assert set(FIELDS) == set(Memory.__dataclass_fields__)


def test_a_restart_forgets_nothing(tmp_path: Path, clock: SetClock) -> None:
    file = tmp_path / "double.json"
    options = DoubleOptions(webhook_secret=SECRET, state_file=file, clock=clock)
    with running_double(options) as double:
        api = client_of(double).v1
        intent = paid(api)
        first = api.customers.create({"name": "A"}, KEY)
        session = checkout(api)
    with running_double(options) as double:
        api = client_of(double).v1
        assert api.payment_intents.retrieve(intent.id).status == "succeeded"
        assert held(api) == 10_300
        assert api.checkout.sessions.list().data[0].url == f"{double.url}/pay/{session.id}"
        assert api.customers.create({"name": "A"}, KEY).id == first.id
        double.pay(session.id)
        assert held(api) == 20_600
        assert len(double.take_webhooks()) == 3 + 1 + 4
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_answer_is_saved_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "double.json"
    with running_double(DoubleOptions(state_file=file)) as double:
        intent = paid(client_of(double).v1)
        assert intent.id in json.loads(file.read_text())["objects"]


def test_a_webhook_that_was_not_taken_is_delivered_after_the_restart(
    tmp_path: Path, clock: SetClock
) -> None:
    file = tmp_path / "double.json"
    with receiving() as receiver:
        nobody = "http://127.0.0.1:9/webhooks/stripe"
        with running_double(DoubleOptions(nobody, SECRET, file, clock=clock)) as double:
            client_of(double).v1.customers.create({})
        with running_double(DoubleOptions(receiver.url, SECRET, file, clock=clock)):
            assert receiver.wait_for(1)[0]["type"] == "customer.created"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_double_is_a_process_that_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "app.sandbox.stripe_double", "--port", str(port)),
            *("--webhook-secret", SECRET, "--fee-rate", "1/100"),
            *("--state", str(tmp_path / "double.json")),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: answers(port))
        session = requests.Session()
        session.trust_env = False
        api = stripe.StripeClient(
            "sk_test_x",
            base_addresses={"api": url},
            http_client=stripe.RequestsClient(session=session),
        ).v1
        assert paid(api).latest_charge.balance_transaction.fee == 106
        assert checkout(api).url.startswith(f"{url}/pay/cs_test_")
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert b"SANDBOX" in said


def test_the_double_ends_when_its_parent_is_gone() -> None:
    assert threads.DIE_WITH_PARENT == serving.DIE_WITH_PARENT
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'app.sandbox.stripe_double',"
        " '--port', sys.argv[1], '--webhook-secret', 'x'])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, threads.DIE_WITH_PARENT: "1"},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        wait_until(lambda: answers(port))
        parent.kill()
        parent.communicate()
        wait_until(lambda: not answers(port))
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise


def answers(port: int) -> bool:
    try:
        return request("GET", f"http://127.0.0.1:{port}/v1/balance").status == 401
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")
