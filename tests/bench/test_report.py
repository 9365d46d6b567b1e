"""The report of `make bench`: a line for each figure, and a word where one was not measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import profiling
from tests.bench.load import Shot, interleaved, load_tool, read_shot, slowest, throughput
from tests.bench.node import installed
from tests.bench.report import Bar, Line, NotMeasured, spread

WRK = """
  Latency Distribution
     50%    1.50ms
     99%   12.50ms
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 40
Requests/sec:   1234.50
"""


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    bench.main()


@pytest.mark.usefixtures("nothing_installed")
def test_a_tool_that_is_missing_is_said_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def lacking() -> Iterator[Line]:
        yield Line("half", [1.0])
        raise NotMeasured("wrk is missing")

    line = Line("start-up, s", [1.5, 1.0, 2.0], bar=Bar(5, at_most=True), spec=".1f")
    figures = {"lacking": lacking, "whole": lambda: [line]}
    monkeypatch.setattr(bench, "FIGURES", figures)
    run(monkeypatch)
    told = capsys.readouterr()
    head, *lines = told.out.splitlines()
    assert head.startswith("figure | ours")
    assert lines == [
        "half | 1 (1–1) | – | – | – | – | –",
        "lacking | not measured: wrk is missing",
        "start-up, s | 1.5 (1.0–2.0) | – | – | ≤ 5 | yes | –",
    ]
    assert [text.split(":")[0] for text in told.err.splitlines()] == ["lacking", "whole"]
    written = json.loads((tmp_path / ".bench" / "figures.json").read_text())
    assert [one["figure"] for one in written] == ["half", "start-up, s"]
    run(monkeypatch, "--only", "whole")
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_tool_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(NotMeasured, match="apt-get install wrk"):
        load_tool()
    with pytest.raises(NotMeasured, match="apt-get install nodejs"):
        installed()


def test_a_ratio_is_the_median_of_pairs_taken_side_by_side() -> None:
    ours = [Shot(80.0, 2.0, 0), Shot(90.0, 3.0, 0), Shot(50.0, 4.0, 0)]
    peer = [Shot(100.0, 1.0, 0), Shot(100.0, 1.0, 0), Shot(100.0, 1.0, 0)]
    assert str(throughput("metered / bare", ours, peer, Bar(0.7))) == (
        "metered / bare, req/s | 80 (50–90) | 100 (100–100) | 0.80 (0.50–0.90) | ≥ 0.7 | yes"
        " | 3.0/1.0"
    )
    assert str(slowest("metered / bare", ours, peer)) == (
        "metered / bare, p99 ms | 3.0 (2.0–4.0) | 1.0 (1.0–1.0) | 3.00 (2.00–4.00) | ≤ 3 | yes | –"
    )
    assert f"{spread([1.0, 2.25, 1.5]):.2f}" == "1.50 (1.00–2.25)"


def test_no_bar_is_met_by_runs_with_errors() -> None:
    good, bad = Shot(100.0, 1.0, 0), Shot(100.0, 1.0, 3)
    line = throughput("metered", [good], [bad], Bar(0.5))
    assert (line.met, str(line).endswith("| no | 1.0/1.0 | 3 ERRORS")) == (False, True)


def test_what_ours_adds_is_a_difference() -> None:
    line = Line("added", [2.0, 3.0], [1.5, 2.5], Bar(0.5, at_most=True), spec=".2f", adds=True)
    assert line.met
    assert "| +0.50 (0.50–0.50) | ≤ 0.5 | yes |" in str(line)
    assert not Line("added", [2.1], [1.5], Bar(0.5, at_most=True), adds=True).met


def test_refused_and_broken_requests_are_errors() -> None:
    assert read_shot(WRK) == Shot(1234.5, 12.5, 43)


def test_the_warm_up_round_is_not_counted() -> None:
    turns = iter(range(6))
    taken = interleaved({"ours": lambda: next(turns), "peer": lambda: next(turns)}, rounds=2)
    assert taken == {"ours": [2, 4], "peer": [3, 5]}


def test_what_a_library_takes_is_told_of_its_caller() -> None:
    ours = (f"{profiling.OURS}/metering/tally.py", 1, "submit")
    executed = ("~", 0, "<method 'execute' of 'sqlite3.Connection' objects>")
    other = ("elsewhere.py", 1, "run")
    stats = {
        ours: (1, 1, 0.5, 0.75, {}),
        executed: (2, 2, 0.375, 0.375, {ours: (1, 1, 0.25, 0.25), other: (1, 1, 0.125, 0.125)}),
        other: (1, 1, 1.0, 1.125, {}),
    }
    assert profiling.parts_of(stats) == {
        "metering/tally.py": 0.5,
        "metering/tally.py: execute": 0.25,
        profiling.ELSE: 1.125,
    }
