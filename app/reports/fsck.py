"""Fsck: does a live system keep its invariants? Read-only; names the first row that breaks each.

Each store is seen at one moment, use a second time after the market: so a system that is at work
has no false breaks, whatever settles, closes or is signed while this reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from app.accounts import checking as accounts_checking
from app.audit import checking as audit_checking
from app.billing import checking as billing_checking
from app.billing import checking_leaves as billing_leaves
from app.contracts import checking as contracts_checking
from app.contracts import checking_leaves as contracts_leaves
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.listings import checking as listings_checking
from app.metering import checking as metering_checking
from app.metering import checking_links as metering_links
from app.metering.history import archive_links
from app.metering.usage import checking_notices as metering_notices
from app.reports import checking_seals

PATIENCE_S = 10.0
LOOK_AGAIN_S = 0.25


@dataclass(frozen=True)
class Problem:
    """A broken invariant: its group, and the row that breaks it."""

    group: str
    text: str


@dataclass(frozen=True)
class Seen:
    """The stores: the market's at one moment, the usage store's before and after that."""

    before: sa.Connection
    market: Session
    after: sa.Connection


Check = Callable[[Seen], Iterator[str]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("audit", lambda seen: audit_checking.problems(seen.market)),
    ("accounts", lambda seen: accounts_checking.problems(seen.market)),
    ("listings", lambda seen: listings_checking.problems(seen.market)),
    ("contracts", lambda seen: contracts_checking.problems(seen.market)),
    ("contracts", lambda seen: contracts_leaves.problems(seen.market)),
    ("metering", lambda seen: metering_checking.problems(seen.after)),
    ("metering", lambda seen: metering_links.problems(seen.before, seen.market, seen.after)),
    ("metering", lambda seen: metering_notices.problems(seen.before, seen.market, seen.after)),
    ("metering", lambda seen: archive_links.problems(seen.before, seen.market, seen.after)),
    ("billing", lambda seen: billing_checking.problems(seen.market, seen.after)),
    ("billing", lambda seen: billing_leaves.problems(seen.market)),
    ("sealing", lambda seen: checking_seals.problems(seen.market, seen.after)),
)


def check_everything(
    installation: Installation, *, patience_s: float = PATIENCE_S
) -> Iterator[Problem]:
    """The first row of each check that breaks each invariant; nothing when every one holds.

    A leaf without a number is given `patience_s` more: its transaction may just have ended.
    """
    with ExitStack() as stack:
        seen = _look(installation, stack)
        for group, check in CHECKS:
            named: set[str] = set()
            for text in check(seen):
                invariant = text.partition(":")[0]
                if invariant not in named:
                    named.add(invariant)
                    yield Problem(group, text)
    late = _still_late(installation, patience_s)
    if late is not None:
        yield Problem("audit", late)


def _look(installation: Installation, stack: ExitStack) -> Seen:
    """Open the three views in their order: a view begins with its first statement."""
    before = stack.enter_context(installation.usage_transaction(writes=False))
    metering_checking.begin_view(before)
    market = stack.enter_context(installation.snapshot(OPERATOR))
    audit_checking.begin_view(market)
    after = stack.enter_context(installation.usage_transaction(writes=False))
    metering_checking.begin_view(after)
    return Seen(before, market, after)


def _still_late(installation: Installation, patience_s: float) -> str | None:
    """The leaf that has had no number for too long, if it gets none while we wait."""
    first = _late(installation)
    until = time.monotonic() + patience_s
    while first is not None and _late(installation) == first:
        if time.monotonic() >= until:
            return first
        time.sleep(LOOK_AGAIN_S)
    return None


def _late(installation: Installation) -> str | None:
    with installation.snapshot(OPERATOR) as session:
        return next(audit_checking.late_leaves(session), None)
