"""The supervisor keeps its children alive and leaves none behind; how it stops is played in
`test_rolling.py`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from app.sandbox.goods import world_gdp
from app.sandbox.http_client import send
from tests.deployment import Deployment
from tests.faults.processes import processes_in, worker_pids

GONE_WITHIN_S = 20


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    opened = Deployment(drain_delay_s="2")
    opened.start()
    yield opened
    opened.close()


def wait_until_gone(group: int) -> None:
    until = time.monotonic() + GONE_WITHIN_S
    while processes_in(group):
        assert time.monotonic() < until, f"still there: {processes_in(group)}"
        time.sleep(0.05)


def children_of(deployment: Deployment) -> list[int]:
    """Every process that the supervisor, who leads the group, looks after."""
    return [pid for pid in processes_in(deployment.group()) if pid != deployment.group()]


def replaced(before: list[int], now: list[int]) -> bool:
    return len(now) == len(before) and not set(now) & set(before)


def is_ready(deployment: Deployment) -> bool:
    try:
        return send("GET", f"{deployment.url}/readyz", None, {}).status == 200
    except OSError:
        return False


def test_nobody_is_left_behind_when_the_supervisor_is_killed(deployment: Deployment) -> None:
    group = deployment.group()
    assert len(processes_in(group)) >= 3
    os.kill(group, signal.SIGKILL)  # the supervisor leads its group: it alone is hit
    wait_until_gone(group)


def test_a_server_that_is_killed_is_started_again(deployment: Deployment) -> None:
    workers, children = worker_pids(deployment), children_of(deployment)
    for pid in children:
        if pid not in workers:  # the server itself, and the worker for jobs
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + GONE_WITHIN_S
    while not (is_ready(deployment) and replaced(children, children_of(deployment))):
        assert time.monotonic() < until, (children, children_of(deployment))
        time.sleep(0.05)
    sale = deployment.sell(world_gdp(), channel="hosted")
    assert sale.buyer.client.get("/api/v1/contracts")["items"][0]["id"] == sale.contract_id
