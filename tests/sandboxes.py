"""A sandbox of real processes, as `make run` starts it, in a folder like a fresh clone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.running import wait_until_ready
from tests.live import free_port

LAST_WORDS = "Stop with Ctrl-C."
STARTED_WITHIN_S = 90


@dataclass
class Sandbox:
    """A running sandbox: where it is, and what it has said so far."""

    folder: Path
    port: int
    said: Path
    pid: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self) -> str:
        return self.said.read_text("utf-8")

    def children(self) -> dict[str, int]:
        """The processes under its supervisor, by what they are."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == str(self.pid) and len(command) > 3:
                found[" ".join(part.decode() for part in command[2:4])] = int(entry.name)
        return found

    def shell(self, script: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """What a person gets who types `script` in another terminal, in the same folder."""
        return subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.folder,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def plain_environment() -> dict[str, str]:
    """The environment of somebody who has just cloned: nothing of Zhigu's is set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ZHIGU_")}


def make_folder(folder: Path) -> Path:
    """A folder that looks like a clone after its set-up: the environment is at `.venv`."""
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


@contextmanager
def running_sandbox(folder: Path, port: int | None = None) -> Iterator[Sandbox]:
    """What `make run` starts once its set-up is done, until it has said all it has to say."""
    sandbox = Sandbox(folder, port or free_port(), folder / "said.txt")
    with sandbox.said.open("wb") as said, (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [".venv/bin/zhigu", "sandbox", "--port", str(sandbox.port)],
            cwd=folder,
            env=plain_environment(),
            stdout=said,
            stderr=log,
        )
        sandbox.pid = process.pid
        try:
            wait_until_ready(sandbox.url, STARTED_WITHIN_S)
            _wait_for_last_words(process, sandbox)
            yield sandbox
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(40)


def _wait_for_last_words(process: subprocess.Popen[bytes], sandbox: Sandbox) -> None:
    while LAST_WORDS not in sandbox.text():
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError((sandbox.folder / "log.txt").read_text()[-3000:])
