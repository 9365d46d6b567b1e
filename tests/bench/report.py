"""The report: a line for each figure, with its peer, its bar, and whether the bar is met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

HEAD = "figure | ours (min–max) | peer | ratio (min–max) | bar | met | p99 ms ours/peer"


class NotMeasured(Exception):
    """A figure cannot be taken here; the text says what is missing, and how to get it."""


@dataclass(frozen=True)
class Spread:
    """What several runs of one thing gave."""

    median: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"


def spread(values: Sequence[float]) -> Spread:
    """The median, least and greatest of `values`."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Bar:
    """A bound: at least `value`, or at most it."""

    value: float
    at_most: bool = False

    def holds(self, found: float) -> bool:
        """Whether `found` is on the right side."""
        return found <= self.value if self.at_most else found >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Line:
    """One line: runs of ours beside runs of the peer, pair by pair.

    The bar is about the ratio of the pairs; about what ours adds to the peer where `adds` is set;
    and about ours where there is no peer. Without a bar the line is only told.
    """

    figure: str
    ours: Sequence[float]
    peer: Sequence[float] = ()
    bar: Bar | None = None
    spec: str = ",.0f"
    adds: bool = False
    p99_ms: tuple[float, float] | None = None
    errors: int = 0

    @property
    def compared(self) -> Spread:
        """What is held against the bar."""
        if not self.peer:
            return spread(self.ours)
        pairs = list(zip(self.ours, self.peer, strict=True))
        return spread([a - b for a, b in pairs] if self.adds else [a / b for a, b in pairs])

    @property
    def met(self) -> bool | None:
        """Whether the median meets the bar; no run with errors meets any."""
        if self.bar is None:
            return None
        return self.bar.holds(self.compared.median) and not self.errors

    def as_dict(self) -> dict[str, Any]:
        """The line as JSON."""
        compared = self.compared
        return {
            "figure": self.figure,
            "ours": spread(self.ours).median,
            "peer": spread(self.peer).median if self.peer else None,
            "compared": "difference" if self.adds else "ratio" if self.peer else "ours",
            "median": round(compared.median, 4),
            "min": round(compared.low, 4),
            "max": round(compared.high, 4),
            "bar": None if self.bar is None else str(self.bar),
            "met": self.met,
            "p99_ms": self.p99_ms,
            "errors": self.errors,
            "runs": {"ours": list(self.ours), "peer": list(self.peer)},
        }

    def __str__(self) -> str:
        return " | ".join(self._cells())

    def _cells(self) -> Iterator[str]:
        yield self.figure
        yield f"{spread(self.ours):{self.spec}}"
        yield f"{spread(self.peer):{self.spec}}" if self.peer else "–"
        sign = "+" if self.adds else ""
        yield f"{sign}{self.compared:.2f}" if self.peer else "–"
        yield "–" if self.bar is None else str(self.bar)
        yield {True: "yes", False: "no", None: "–"}[self.met]
        yield "–" if self.p99_ms is None else "{:.1f}/{:.1f}".format(*self.p99_ms)
        if self.errors:
            yield f"{self.errors} ERRORS"
