"""Judging: what clients were told and the upstream has served against what the store holds.

Our own counters are never asked. The deeds that are judged are the rows of `README.md`, which
`make faults` writes from these verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.tables import usage_event, usage_window
from tests.faults.loading import Journal
from tests.metering.store import fsck


@dataclass(frozen=True)
class Verdict:
    """What came of a deed: `times` it was done, and what went wrong, which must be nothing.

    `told_nobody` are units counted for keys whose data were cut off as often as they are given.
    """

    times: int
    acknowledged: int
    lost: int = 0
    twice: int = 0
    over: int = 0
    told_nobody: int = 0
    recovered_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, billed twice or admitted beyond its limit."""
        return self.lost == self.twice == self.over == 0


Note = Callable[[str, Verdict], None]
"""Notes a deed of the catalogue with its verdict, and fails the test for one that is not clean."""


def judge(
    installation: Installation,
    journal: Journal,
    served: Iterable[str],
    *,
    times: int,
    recovered_s: float = 0.0,
    limit: int | None = None,
) -> Verdict:
    """The verdict on what clients noted while a fault was played `times` times.

    `served` are the keys that the upstream has answered. Raises for a store that contradicts
    itself: fsck, gaps in the numbers, a counter that is not the number of its events.
    """
    assert journal.disagreements == [], "one key, one receipt"
    assert set(journal.receipts) <= set(served), "the upstream has seen each of them"
    ids = counted(installation)
    told = set(journal.receipts.values())
    untold = len(ids - told)
    return Verdict(
        times=times,
        acknowledged=len(told),
        lost=len(told - ids),
        # One receipt for two keys, or an event that no key speaks for.
        twice=len(journal.receipts) - len(told) + max(0, untold - len(journal.spent)),
        over=0 if limit is None else max(0, len(ids) - limit),
        told_nobody=min(untold, len(journal.spent)),
        recovered_s=recovered_s,
    )


def counted(installation: Installation) -> set[str]:
    """The ids of all events; their numbers, the counters and fsck must agree with them."""
    with installation.usage.connect() as connection:
        events = connection.execute(
            sa.select(usage_event.c.number, usage_event.c.event_id).order_by(usage_event.c.number)
        ).all()
        used = connection.scalars(sa.select(usage_window.c.used_units)).all()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert set(used) == ({len(events)} if events else set())
    assert fsck(installation) == []
    return {event.event_id for event in events}
