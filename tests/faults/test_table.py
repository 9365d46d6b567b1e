"""The table of results tells of every fault that is played, and of no other."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tests.faults.catalogue import DEEDS
from tests.faults.judging import Verdict
from tests.faults.tabling import MARK, Failure, Row, deeds_in, table, unplayed

ON = date(2026, 11, 25)
README = Path(__file__).with_name("README.md")


def test_the_table_in_the_readme_is_of_the_faults_that_are_played() -> None:
    head, mark, results = README.read_text("utf-8").partition(MARK)
    assert mark
    assert deeds_in(results) == list(DEEDS), "run `make faults`"
    assert deeds_in(head) == []


def test_a_fault_that_nobody_played_is_told_of_as_such() -> None:
    first, *others = DEEDS
    rows = [Row(deed, "sqlite", Verdict(1, 1)) for deed in others]
    told = table(rows, [], 7, ON)
    assert f"| {DEEDS[first]} | {first} | – | **not judged** | – |" in told
    assert deeds_in(told) == list(DEEDS)
    assert unplayed(rows) == [first]


def test_what_failed_stands_below_the_table_in_its_own_words() -> None:
    report = (
        "x = 1\n>   assert x == 2\nE   AssertionError: one | two\nE   assert 1 == 2\n\nat:1: Error"
    )
    failure = Failure.told_by("tests/faults/test_a.py::test_b[sqlite]", "call", report)
    told = table([], [failure], 7, ON)
    wanted = "- **FAILED** `test_a.py::test_b[sqlite]`: call: AssertionError: one two assert 1 == 2"
    assert wanted in told
    assert deeds_in(told) == list(DEEDS)


def test_verdicts_on_one_deed_are_summed_and_the_longest_silence_is_told() -> None:
    deed = next(iter(DEEDS))
    rows = [Row(deed, "sqlite", Verdict(2, 10, recovered_s=0.5)) for deed in DEEDS]
    rows.append(Row(deed, "sqlite", Verdict(3, 5, lost=1, recovered_s=0.25)))
    told = table(rows, [], 7, ON)
    assert f"| {DEEDS[deed]} | {deed} | sqlite | 5 | 15 | 1 | 0 | 0 | 0 | 0.50 |" in told
    assert "seed 7" in told
    assert deeds_in(told) == list(DEEDS)
