"""Killing a flow at each of its statements in turn, in either store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from app.db.installation import Installation


class Killed(BaseException):
    """The process is gone: nothing that the code does about errors may matter."""


class _Countdown:
    def __init__(self, at: int) -> None:
        self.left = at

    def statement(self, *_: Any) -> None:
        self._tick()

    def commit(self, *_: Any) -> None:
        self._tick()

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@contextmanager
def _counting(engines: list[Engine], countdown: _Countdown) -> Iterator[None]:
    hooks = (("before_cursor_execute", countdown.statement), ("commit", countdown.commit))
    for engine in engines:
        for name, hook in hooks:
            event.listen(engine, name, hook)
    try:
        yield
    finally:
        for engine in engines:
            for name, hook in hooks:
                event.remove(engine, name, hook)


def killed_everywhere(installation: Installation, run: Callable[[], Any]) -> int:
    """Run `run` to its end, killed at its first statement or commit, then its second, and so on.

    Each life goes on with what those before it left; how often it was killed.
    """
    engines = [installation.market, installation.usage]
    for at in range(1, 10_000):
        countdown = _Countdown(at)
        try:
            with _counting(engines, countdown):
                run()
        except Killed:
            continue
        return at - 1
    raise AssertionError("it never came to its end")
