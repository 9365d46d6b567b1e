"""The faults that are played here: what is done, and by which number of the fault plan."""

from __future__ import annotations

DEEDS: dict[str, str] = {
    "kill -9 of the gateway at a random point of its calls": "F-A1",
    "kill -9 of the whole server": "F-A1",
    "kill -9 of a worker in an invoice run": "F-A2",
    "kill -9 of a worker that opens a payment's page or sends a payout": "F-A2",
    "kill -9 of a process that signs, and of the worker that brings it into force": "F-A2",
    "kill -9 of a process that rotates the keys": "F-A2",
    "a statement of settling or taking back fails, each in turn": "F-A3",
    "a statement of granting, sealing or closing fails, each in turn": "F-A3",
    "PostgreSQL crashes under load (-m immediate) and starts again": "F-A3",
    "PostgreSQL is stopped (-m fast) under load and started again": "F-A3",
    "the server of both stores is lost under load, and its standby takes over": "F-A3",
    "a lock is held in the usage store for longer than statements wait": "F-A3",
    "strangers hold every connection that PostgreSQL has": "F-A3",
    "one store refuses and ends every connection under load": "F-A3",
    "somebody else holds the SQLite files locked under load": "F-A3",
    "the disk of the SQLite stores is full under load": "F-A5",
    "the disk is full where files are made for contracts": "F-A5",
    "the disk is full where old usage is archived": "F-A5",
    "power loss while batches are written": "F-A6",
    "the clock jumps by an hour, forty days and back, over a month's end": "F-A7",
    "two nodes whose clocks are five minutes apart, at midnight": "F-A7",
    "six kinds of bad weather between us and an upstream": "F-A8",
    "six kinds of bad weather between us and PostgreSQL, lost answers to COMMIT too": "F-A8",
    "SIGTERM of one server after the other under load, while another takes over": "F-A9",
    "1 to 1,000 callers race for a quota of 1 or 100, through 1 or 4 gateways": "F-C2",
    "a contract or a key ends between admission and settlement, and in mid-stream": "F-C3",
    "clients that are slow, hang up, pipeline, want a part or send what nobody can read": "F-D2",
}
"""Every row of the table in `README.md`, in its order."""
