"""How long faults are played, from which seed, and where their verdicts go."""

from __future__ import annotations

import os
import random
from dataclasses import astuple

import pytest

from tests.faults.catalogue import DEEDS
from tests.faults.judging import Note, Verdict

LONG = "ZHIGU_FAULTS_LONG"
SEED = int(os.environ.get("ZHIGU_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


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
