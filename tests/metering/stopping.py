"""Work that is cut off at each of its statements in turn, as by a crash of its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from app.db.installation import Installation


class Stopped(BaseException):
    """The process ends here; what it did not commit never was."""


@contextmanager
def stopping_at(installation: Installation, statement: int) -> Iterator[list[int]]:
    """End the work at its `statement`-th statement on either store; counts them."""
    count = [0]

    def stop(*_: Any) -> None:
        count[0] += 1
        if count[0] == statement:
            raise Stopped

    engines = (installation.usage, installation.market)
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", stop)
    try:
        yield count
    except Stopped:
        pass
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", stop)


def stopped_everywhere(
    installation: Installation, work: Callable[[], None], check: Callable[[], None]
) -> int:
    """Do `work` again and again, each time cut off one statement later, until it gets through;
    `check` after each. How many statements it took without having begun before.
    """
    for statement in range(1, 1_000):
        with stopping_at(installation, statement) as count:
            work()
        check()
        if count[0] < statement:
            return statement
    raise AssertionError("the work never ends")
