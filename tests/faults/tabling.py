"""The table of results in `README.md`: one line for each deed and database."""

from __future__ import annotations

import re
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
MARK = "<!-- results -->"
BLANK = "–"
WORDS_MAX = 300


@dataclass(frozen=True)
class Row:
    """A deed as it was noted; without a verdict: nobody came to the end of it."""

    deed: str
    engine: str
    verdict: Verdict | None


@dataclass(frozen=True)
class Failure:
    """A test that failed, and how."""

    test: str
    words: str

    @classmethod
    def told_by(cls, test: str, when: str, report: str) -> Failure:
        """From pytest's report: the lines that say what was wrong."""
        said = [line[2:].strip() for line in report.splitlines() if line.startswith("E ")]
        words = " ".join(said) or report.strip().rpartition("\n")[2]
        return cls(test.rpartition("/")[2], f"{when}: {words}"[:WORDS_MAX])


def table(rows: Iterable[Row], failures: Iterable[Failure], seed: int, on: date) -> str:
    """The table of all deeds in the catalogue's order, also of those that nobody played to an end,
    and below it what failed.
    """
    found = list(rows)
    none = [Row(deed, "", None) for deed in unplayed(found)]
    noted = sorted([*found, *none], key=lambda row: (list(DEEDS).index(row.deed), row.engine))
    lines = [HEAD, RULE, *map(_line, _together(noted))]
    told = [f"- **FAILED** `{one.test}`: {_in_a_cell(one.words)}" for one in failures]
    text = f"Played on {on} from seed {seed}.\n\n" + "\n".join(lines) + "\n"
    return text + ("\n" + "\n".join(told) + "\n" if told else "")


def unplayed(rows: Iterable[Row]) -> list[str]:
    """The deeds that no row tells of."""
    played = {row.deed for row in rows}
    return [deed for deed in DEEDS if deed not in played]


def deeds_in(text: str) -> list[str]:
    """The deeds that a table tells of, each once, in its order."""
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| F-")]
    return list(dict.fromkeys(found[1] for found in cells))


def _together(rows: list[Row]) -> Iterator[Row]:
    """Rows of one deed on one database as one: everything summed, the longest silence."""
    found: dict[tuple[str, str], Verdict | None] = {}
    for row in rows:
        name, new = (row.deed, row.engine), row.verdict
        old = found.get(name)
        found[name] = new if old is None or new is None else _sum(old, new)
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
    numbers = ("**not judged**", *[BLANK] * 6) if row.verdict is None else _numbers(row.verdict)
    return f"| {' | '.join((DEEDS[row.deed], row.deed, row.engine or BLANK, *numbers))} |"


def _numbers(verdict: Verdict) -> tuple[str, ...]:
    counts = (
        *(verdict.times, verdict.acknowledged, verdict.lost),
        *(verdict.twice, verdict.over, verdict.told_nobody),
    )
    silence = f"{verdict.recovered_s:.2f}" if verdict.recovered_s else BLANK
    return (*map(str, counts), silence)


def _in_a_cell(words: str) -> str:
    return re.sub(r"[\s`|<>]+", " ", words)
