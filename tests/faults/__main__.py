"""`make faults`: play every fault as often as the issue wants it, and write the table of results.

Judged as the tests judge, for it runs them; `ZHIGU_FAULTS_SEED` repeats a run.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import conftest
from tests.faults.judging import Verdict
from tests.faults.tabling import Row, table

HERE = Path(__file__).parent


class Recorder:
    """Collects what the tests noted."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            self.rows += [
                Row(deed, engine, Verdict(*numbers))
                for name, (deed, engine, *numbers) in report.user_properties
                if name == "verdict"
            ]


def main() -> int:
    """Run the tests of this folder at length; the table is written only when all of them pass."""
    os.environ.setdefault(conftest.LONG, "1")
    os.environ["ZHIGU_FAULTS_SEED"] = str(conftest.SEED)
    recorder = Recorder()
    code = pytest.main(["-q", *(sys.argv[1:] or [str(HERE)])], plugins=[recorder])
    if code == 0:
        today = datetime.now(UTC).date()
        text = table(recorder.rows, conftest.SEED, today)
        readme = HERE / "README.md"
        head = readme.read_text("utf-8").partition("<!-- results -->")[0]
        readme.write_text(f"{head}<!-- results -->\n{text}", "utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
