"""How long faults are played, from which seed, and where their verdicts go."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import astuple
from functools import partial
from pathlib import Path

import pytest

from tests.faults.catalogue import DEEDS
from tests.faults.judging import Note, Verdict
from tests.faults.shops import Shop, shop_in
from tests.postgres import Postgres

LONG = "ZHIGU_FAULTS_LONG"
UNTIL = "ZHIGU_FAULTS_UNTIL"
SEED = int(os.environ.get("ZHIGU_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """At length only those are played that the table tells of: all others are as long always."""
    if os.environ.get(LONG):
        rest = [item for item in items if "note" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=rest)
        items[:] = [item for item in items if item not in rest]


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Under `make faults` a test fails at the moment at which all of them must be done."""
    if UNTIL not in os.environ:
        yield
        return
    left_s = float(os.environ[UNTIL]) - time.monotonic()
    assert left_s > 0, "the time was over before this was begun"

    def over(*_: object) -> None:
        raise TimeoutError("the time was over")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, left_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def chance() -> random.Random:
    """Chance that can be had again: `ZHIGU_FAULTS_SEED` sets what is printed here."""
    print(f"ZHIGU_FAULTS_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def long() -> bool:
    """Whether this is `make faults`, which plays everything as often as the issue wants it."""
    return bool(os.environ.get(LONG))


@pytest.fixture
def note(record_property: pytest.RecordProperty, request: pytest.FixtureRequest) -> Note:
    """Notes verdicts for the table."""
    engine = request.getfixturevalue("engine_name") if "engine_name" in request.fixturenames else ""

    def noted(deed: str, verdict: Verdict) -> None:
        assert deed in DEEDS, f"{deed!r} is not in the catalogue"
        record_property("verdict", [deed, engine, *astuple(verdict)])
        assert verdict.is_clean, verdict

    return noted


@pytest.fixture
def open_shop() -> Iterator[Callable[..., Shop]]:
    """Opens shops, each with the URLs of its stores and settings; they close with the test."""
    with ExitStack() as stack:
        yield partial(shop_in, stack)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server of the test's own, which it may crash."""
    folder = Path(tempfile.mkdtemp(prefix="zhigu-store-"))
    server = Postgres(folder / "pg")
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)
