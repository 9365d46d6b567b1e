"""The processes of a deployment, as the system lists them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.deployment import Deployment


@dataclass(frozen=True)
class Process:
    """A process of a deployment's group."""

    pid: int
    parent: int
    command: bytes


def processes_of(deployment: Deployment) -> list[int]:
    """Every process of the deployment, by id."""
    return processes_in(deployment.group())


def processes_in(group: int) -> list[int]:
    """Every process of a process group, by id."""
    return sorted(process.pid for process in _group(group))


def worker_pids(deployment: Deployment) -> list[int]:
    """The serving processes: children of the server that our supervisor runs."""
    found = {process.pid: process for process in _group(deployment.group())}
    return [
        process.pid
        for process in found.values()
        if process.parent in found
        and b"--alone" in found[process.parent].command
        and b"resource_tracker" not in process.command
    ]


def _group(group: int) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat[2]) == group and command:
            yield Process(int(entry.name), int(stat[1]), command)
