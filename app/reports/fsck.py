"""Fsck: does a live system keep its invariants? Read-only; names the first row that breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlmodel import Session

from app.audit import checking as audit_checking
from app.billing import checking as billing_checking
from app.contracts import checking as contracts_checking
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.metering import checking as metering_checking

Check = Callable[[Session, Connection], Iterator[str]]


@dataclass(frozen=True)
class Problem:
    """A broken invariant: its group, and the row that breaks it."""

    group: str
    text: str


CHECKS: tuple[tuple[str, Check], ...] = (
    ("audit", lambda session, _usage: audit_checking.problems(session)),
    ("contracts", lambda session, _usage: contracts_checking.problems(session)),
    ("metering", lambda _session, usage: metering_checking.problems(usage)),
    ("billing", billing_checking.problems),
)


def check_everything(installation: Installation) -> Iterator[Problem]:
    """Each group's first problem; nothing when every invariant holds.

    Each group is read in one transaction of its own, so that a busy system is seen at one moment.
    """
    for group, check in CHECKS:
        with (
            installation.transaction(OPERATOR, writes=False) as session,
            installation.usage_transaction(writes=False) as usage,
        ):
            for text in check(session, usage):
                yield Problem(group, text)
                break
