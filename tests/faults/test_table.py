"""The table of results tells of every fault that is played, and of no other."""

from __future__ import annotations

from datetime import date

import pytest

from tests.faults.catalogue import DEEDS
from tests.faults.judging import Verdict
from tests.faults.tabling import Row, deeds_in, table

ON = date(2026, 11, 25)


def test_a_fault_that_nobody_played_has_no_table() -> None:
    rows = [Row(deed, "sqlite", Verdict(1, 1)) for deed in list(DEEDS)[1:]]
    with pytest.raises(ValueError, match="nobody played"):
        table(rows, 7, ON)


def test_verdicts_on_one_deed_are_summed_and_the_longest_silence_is_told() -> None:
    deed = next(iter(DEEDS))
    rows = [Row(deed, "sqlite", Verdict(2, 10, recovered_s=0.5)) for deed in DEEDS]
    rows.append(Row(deed, "sqlite", Verdict(3, 5, lost=1, recovered_s=0.25)))
    told = table(rows, 7, ON)
    assert f"| {DEEDS[deed]} | {deed} | sqlite | 5 | 15 | 1 | 0 | 0 | 0 | 0.50 |" in told
    assert "seed 7" in told
    assert deeds_in(told) == list(DEEDS)
