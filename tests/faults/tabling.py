"""The table of results in `README.md`: one line for each deed and database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from tests.faults.catalogue import DEEDS
from tests.faults.judging import Verdict

HEAD = (
    "| # | Fault | Database | Times | Acknowledged | …and lost | Billed twice | Over-admitted "
    "| Counted, told nobody | Seconds until served |"
)
RULE = "|---|---|---|--:|--:|--:|--:|--:|--:|--:|"


@dataclass(frozen=True)
class Row:
    """A deed as it was noted."""

    deed: str
    engine: str
    verdict: Verdict


def table(rows: Iterable[Row], seed: int, on: date) -> str:
    """The table of all rows in the catalogue's order; raises for a deed that nobody played."""
    noted = sorted(rows, key=lambda row: (list(DEEDS).index(row.deed), row.engine))
    missing = DEEDS.keys() - {row.deed for row in noted}
    if missing:
        raise ValueError(f"nobody played {sorted(missing)}")
    lines = [HEAD, RULE, *map(_line, _together(noted))]
    return f"Played on {on} from seed {seed}.\n\n" + "\n".join(lines) + "\n"


def deeds_in(text: str) -> list[str]:
    """The deeds that a table tells of, each once, in its order."""
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| F-")]
    return list(dict.fromkeys(found[1] for found in cells))


def _together(rows: list[Row]) -> Iterator[Row]:
    """Rows of one deed on one database as one: everything summed, the longest silence."""
    found: dict[tuple[str, str], Verdict] = {}
    for row in rows:
        name, new = (row.deed, row.engine), row.verdict
        old = found.get(name)
        found[name] = new if old is None else _sum(old, new)
    for (deed, engine), verdict in found.items():
        yield Row(deed, engine, verdict)


def _sum(one: Verdict, other: Verdict) -> Verdict:
    return Verdict(
        times=one.times + other.times,
        acknowledged=one.acknowledged + other.acknowledged,
        lost=one.lost + other.lost,
        twice=one.twice + other.twice,
        over=one.over + other.over,
        told_nobody=one.told_nobody + other.told_nobody,
        recovered_s=max(one.recovered_s, other.recovered_s),
    )


def _line(row: Row) -> str:
    verdict = row.verdict
    numbers = (
        verdict.times,
        verdict.acknowledged,
        verdict.lost,
        verdict.twice,
        verdict.over,
        verdict.told_nobody,
    )
    silence = f"{verdict.recovered_s:.2f}" if verdict.recovered_s else "–"
    cells = (DEEDS[row.deed], row.deed, row.engine or "–", *map(str, numbers), silence)
    return f"| {' | '.join(cells)} |"
