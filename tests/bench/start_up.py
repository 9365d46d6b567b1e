"""How long `zhigu serve` takes until it is ready, on stores that are there already."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.report import Bar, Line
from tests.deployment import Deployment

BAR_S = Bar(5.0, at_most=True)
TIMES = 5


def start_up_lines() -> Iterator[Line]:
    """The time from the command to the first good answer of `/readyz`."""
    taken = []
    deployment = Deployment()
    try:
        for _ in range(TIMES):
            began = time.monotonic()
            deployment.start()
            taken.append(time.monotonic() - began)
            deployment.terminate()
    finally:
        deployment.close()
    yield Line("start-up of the embedded server, s", taken, bar=BAR_S, spec=".2f")
