"""The supervisor: stops without a failed call, keeps children alive, leaves none behind."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.sandbox.goods import world_gdp
from app.sandbox.http_client import Answer, send
from tests.deployment import Deployment
from tests.faults.processes import processes_in, worker_pids
from tests.faults.test_exactness import run, until_in_force

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


def test_a_server_that_is_told_to_stop_says_so_first_and_answers_until_then(
    deployment: Deployment,
) -> None:
    sale = deployment.sell(world_gdp(), channel="hosted")
    headers = {"Authorization": f"Bearer {sale.buyer.client.fresh_token()}"}
    url = f"{deployment.url}/data/{sale.listed.slug}/rows?limit=1"
    run(until_in_force(url, headers))
    group = deployment.group()
    ready: list[Answer] = []
    served: Counter[int] = Counter()
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(deployment.terminate)
        while not stopped.done():
            try:
                ready.append(send("GET", f"{deployment.url}/readyz", None, {}))
                if sum(served.values()) < 50:
                    served[send("GET", url, None, headers).status] += 1
            except OSError:
                time.sleep(0.01)
        assert stopped.result() == 0
    assert set(served) == {200}
    assert served[200] > 5
    told = [answer.json()["missing"] for answer in ready if answer.status == 503]
    assert told
    assert {tuple(missing) for missing in told} == {("draining",)}
    assert [answer.status for answer in ready] == sorted(answer.status for answer in ready)
    wait_until_gone(group)
    assert deployment.zhigu("fsck") == ""


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
