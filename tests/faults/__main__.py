"""`make faults`: play every fault as often as the issue wants it, and write the table of results.

Judged as the tests judge, for it runs them, two at a time. It ends by itself within eight minutes:
what is not done by then has failed. The table is written whatever happened, and tells of it; the
exit code is 0 only when every deed was played and passed. `ZHIGU_FAULTS_SEED` repeats a run; with
arguments (`make faults ARGS=tests/faults/test_kill.py`) the table is printed, not written.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import conftest
from tests.faults.judging import Verdict
from tests.faults.tabling import MARK, Failure, Row, table, unplayed

HERE = Path(__file__).parent
BOUND_S = 430  # and what was begun takes some seconds to be put away
OPTIONS = ("-v", "-n", "2", "--dist", "load", "--durations", "60", "--durations-min", "1")


class Recorder:
    """Collects what the tests noted, and those that failed."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.failures: list[Failure] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failures.append(Failure.told_by(report.nodeid, report.when, str(report.longrepr)))
        if report.when == "call":
            self.rows += [
                Row(deed, engine, Verdict(*numbers))
                for name, (deed, engine, *numbers) in report.user_properties
                if name == "verdict"
            ]


def main() -> int:
    """Run the tests of this folder at length and tell what came of them."""
    os.environ.setdefault(conftest.LONG, "1")
    os.environ["ZHIGU_FAULTS_SEED"] = str(conftest.SEED)
    os.environ[conftest.UNTIL] = str(time.monotonic() + BOUND_S)
    recorder = Recorder()
    chosen = sys.argv[1:]
    code = int(pytest.main([*OPTIONS, *(chosen or [str(HERE)])], plugins=[recorder]))
    today = datetime.now(UTC).date()
    text = table(recorder.rows, recorder.failures, conftest.SEED, today)
    if chosen:
        print(text)
        return code
    readme = HERE / "README.md"
    readme.write_text(readme.read_text("utf-8").partition(MARK)[0] + MARK + "\n" + text, "utf-8")
    return code or int(bool(unplayed(recorder.rows)))


if __name__ == "__main__":
    sys.exit(main())
