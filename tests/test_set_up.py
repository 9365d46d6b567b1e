"""Set-up: says plainly what a bare machine lacks, and goes on where it was broken off."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A Python as far as the script can see: what it is asked for is written down.
PYTHON = """#!/bin/sh
echo "$*" >>"{journal}"
case "$*" in
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit {no_venv} ;;
    -V) echo "Python 3.9.2" ;;
    *"-m venv"*) mkdir -p "{venv}/bin" && cp "$0" "{venv}/bin/python" ;;
esac
"""


class Machine:
    """A machine with one Python, and the environment that is to be made on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        self.journal = folder / "journal.txt"

    def install_python(self, *, too_old: bool = False, no_venv: bool = False) -> None:
        path = self.folder / "python3"
        facts = {"too_old": int(too_old), "no_venv": int(no_venv)}
        path.write_text(PYTHON.format(journal=self.journal, venv=self.venv, **facts))
        path.chmod(0o755)

    def set_up(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(ROOT / "deploy" / "setup"), str(self.venv)],
            env={**os.environ, "PYTHON": str(self.folder / "python3")},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def asked(self) -> list[str]:
        return self.journal.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_python_is_told_so(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.startswith("Zhigu needs Python 3.11 or newer; ")
    assert "was not found (set PYTHON=…)" in done.stderr


def test_a_python_that_is_too_old_is_told_so(machine: Machine) -> None:
    machine.install_python(too_old=True)
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.endswith("is Python 3.9.2.\n")


def test_a_python_without_venv_is_told_what_to_install(machine: Machine) -> None:
    machine.install_python(no_venv=True)
    done = machine.set_up()
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


def test_an_environment_is_made_once_and_gets_the_pinned_dependencies_by_hash(
    machine: Machine,
) -> None:
    machine.install_python()
    for _ in range(2):
        assert machine.set_up().returncode == 0
    asked = machine.asked()
    assert len([line for line in asked if line.startswith("-m venv")]) == 1
    pinned = [line for line in asked if "-r requirements/dev.txt" in line]
    assert len(pinned) == 2
    assert all("--require-hashes" in line for line in pinned)


def test_an_environment_that_was_broken_off_is_made_anew(machine: Machine) -> None:
    machine.install_python()
    broken = machine.venv / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert machine.set_up().returncode == 0
    assert any(line.startswith("-m venv --clear") for line in machine.asked())


def test_every_pinned_dependency_has_its_hashes() -> None:
    for name in ("run.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text()
        entries = text.replace("\\\n", " ").splitlines()
        pins = [line for line in entries if line and not line.lstrip().startswith("#")]
        assert len(pins) > 20
        assert [line for line in pins if "==" not in line or "--hash=sha256:" not in line] == []


def test_the_last_word_of_ci_is_the_summary_of_the_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text().split()
    assert lines[-2:] == ["make", "test"]
