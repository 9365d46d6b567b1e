"""The report of `make bench`: a line for each figure, and a word where one was not measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.load import Figure, LoadToolMissing, Shot, load_tool, spread


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nothing_installed")
def test_a_load_tool_that_is_missing_is_said_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = {"figure": "start-up, s", "ours": "1.5", "peer": None, "bar": 5.0, "met": True}
    monkeypatch.setattr(bench, "start_ups", lambda: [row])
    monkeypatch.setattr(sys, "argv", ["bench"])
    bench.main()
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("figure | ours")
    assert lines == [
        "embedded | not measured: wrk is missing; on Debian: apt-get install wrk",
        "postgres | not measured: wrk is missing; on Debian: apt-get install wrk",
        "start-up, s | 1.5 | – | – | < 5 | yes | –",
    ]
    assert json.loads((tmp_path / ".bench" / "figures.json").read_text()) == [row]


@pytest.mark.usefixtures("nothing_installed")
def test_no_load_is_tried_without_its_tool() -> None:
    with pytest.raises(LoadToolMissing, match="apt-get install wrk"):
        load_tool()


def test_a_figure_is_the_median_of_pairs_taken_side_by_side() -> None:
    ours = [Shot(80.0, 2.0, 0), Shot(90.0, 3.0, 0), Shot(50.0, 4.0, 0)]
    peer = [Shot(100.0, 1.0, 0), Shot(100.0, 1.0, 0), Shot(100.0, 1.0, 1)]
    row = Figure("metered / bare", ours, peer, 0.7).as_dict()
    assert bench.line_of(row) == (
        "metered / bare | 80 (50–90) | 100 (100–100) | 0.80 (0.50–0.90) | ≥ 0.7 | yes"
        " | 3.0/1.0 | 1 ERRORS"
    )
    assert f"{spread([1.0, 2.25, 1.5]):.2f}" == "1.50 (1.00–2.25)"
