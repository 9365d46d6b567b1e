"""The sandbox that `make run` starts: what it says is so, it can be started again, it plays."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.sandbox.running import plan_sandbox, sandbox_children, wait_until_ready
from app.settings import Settings
from tests.sandboxes import Sandbox, make_folder, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox on a port that is not the usual one."""
    with running_sandbox(make_folder(tmp_path_factory.mktemp("clone"))) as running:
        yield running


def pasted_lines(sandbox: Sandbox) -> list[str]:
    """The ready-made lines, each with the line that fetches the token it needs."""
    found, token = [], ""
    for line in sandbox.text().splitlines():
        if line.startswith("    TOKEN="):
            token = line
        elif line.startswith("    curl"):
            found.append(f"{token}\n{line}")
    return found


def test_the_lines_that_it_prints_work_as_pasted_for_each_kind_of_user(sandbox: Sandbox) -> None:
    lines = pasted_lines(sandbox)
    assert len(lines) == 5
    answers = []
    for line in lines:
        done = sandbox.shell(line.replace("curl -s", "curl -fs"))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        answers.append(done.stdout)
    rows, division, usage, balance, checkpoint = answers
    assert re.search(r"^usage-receipt: evt_", rows, re.MULTILINE)
    assert '"东城区"' in rows
    assert re.search(r"^usage-receipt: evt_", division, re.MULTILINE)
    assert {item["meter"]: item["units"] for item in json.loads(usage)["items"]} == {
        "row": 3,
        "call": 1,
    }
    assert json.loads(balance)["balanced"] is True
    assert checkpoint.startswith("zhigu.local/log\n")
    assert {re.search(r"demo-token (\w+)", line)[1] for line in lines[:4]} == {  # type: ignore[index]
        "buyer",
        "provider",
        "admin",
    }


def test_it_prints_its_address_and_its_docs_page(sandbox: Sandbox) -> None:
    assert f"{sandbox.url}/docs" in sandbox.text()
    assert sandbox.shell(f"curl -fs {sandbox.url}/docs").returncode == 0
    assert "SANDBOX" in sandbox.text()


def test_the_clients_secrets_are_for_their_owner_only(sandbox: Sandbox) -> None:
    home = sandbox.folder / "var"
    secrets = [home / "demo.json", *home.glob("*.key.json"), home / "sandbox.json"]
    assert len(secrets) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_the_demo_plays_the_whole_chain_again_and_again(sandbox: Sandbox) -> None:
    contracts = []
    for _ in range(2):
        done = sandbox.shell(".venv/bin/zhigu demo")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        money = {name: round(float(amount) * 100) for name, amount in told["money_cny"].items()}
        # 100 calls: 20 free, 50 at 1.00, 30 at 0.80; VAT 6 %, fee 7.5 %.
        assert money == {"net": 7400, "vat": 444, "gross": 7844, "fee": 555, "payout": 7289}
        steps = done.stderr.splitlines()
        assert len(steps) == 8
        assert all(step.startswith("✓") for step in steps)
        printed = [one for value in told["ids"].values() for one in _listed(value)]
        assert len(printed) == len(set(printed)) > 100
        for name in ("contract", "invoice", "payment", "payout"):
            assert told["ids"][name] in done.stderr
        contracts.append(told["ids"]["contract"])
    assert contracts[0] != contracts[1]
    for contract in contracts:
        walked = sandbox.shell(f".venv/bin/zhigu inspect {contract}")
        assert re.search(rf"^contract +{contract}  state=ended", walked.stdout, re.MULTILINE)
    assert sandbox.shell(".venv/bin/zhigu fsck").returncode == 0


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def leaves(folder: Path) -> int:
    """How much has ever happened in the sandbox, by its log."""
    with closing(sqlite3.connect(folder / "var" / "market.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM audit_leaf").fetchone()[0])


def test_a_second_start_only_starts_the_server(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with running_sandbox(folder) as first:
        first_text = first.text()
    told = (folder / "log.txt").read_text("utf-8")
    known, remembered = leaves(folder), (folder / "var" / "demo.json").read_bytes()
    assert "listing 世界各国国内生产总值" in told
    with running_sandbox(folder, first.port) as second:
        assert second.text() == first_text
    again = (folder / "log.txt").read_text("utf-8").removeprefix(told)
    assert "listing" not in re.sub(r"^\{.*\}$", "", again, flags=re.MULTILINE)
    assert leaves(folder) == known > 0
    assert (folder / "var" / "demo.json").read_bytes() == remembered


def test_a_port_that_is_taken_is_said_plainly(sandbox: Sandbox) -> None:
    done = sandbox.shell(f"ZHIGU_HOME=other .venv/bin/zhigu sandbox --port {sandbox.port}")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: port {sandbox.port} is taken; choose another with PORT=… or --port"
    ]


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_whoever_sits_at_a_terminal_sees_no_log_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_a_terminal: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: at_a_terminal)
    settings = Settings(home=tmp_path)
    children = sandbox_children(settings, plan_sandbox(tmp_path), 1, 1)
    for child in children:
        child.argv = [sys.executable, "-c", "import sys; print('a log line', file=sys.stderr)"]
        child.start({})
        child.wait(20)
    kept = tmp_path / "sandbox.log"
    logged = kept.read_text() if kept.exists() else ""
    told = capfd.readouterr().err
    assert (logged, told)[:: 1 if at_a_terminal else -1] == ("a log line\n" * len(children), "")


def test_a_token_of_a_sandbox_that_never_was_is_said_plainly(tmp_path: Path) -> None:
    nowhere = Sandbox(make_folder(tmp_path), 1, tmp_path / "said.txt")
    done = nowhere.shell(".venv/bin/zhigu demo-token buyer")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == "Error: there is no demo in var yet: start it with `make run`"


def test_whatever_is_killed_comes_back_and_the_demo_plays_on(sandbox: Sandbox) -> None:
    before = sandbox.children()
    assert set(before) == {
        "app.cli serve",
        "app.cli work",
        "app.sandbox.stripe_double --port",
        "app.sandbox.upstream --port",
    }
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while not all(sandbox.children().get(name, pid) != pid for name, pid in before.items()):
        assert time.monotonic() < until, sandbox.children()
        time.sleep(0.1)
    wait_until_ready(sandbox.url)
    done = sandbox.shell(".venv/bin/zhigu demo")
    assert done.returncode == 0, done.stderr
    assert sandbox.shell(".venv/bin/zhigu fsck").returncode == 0
