"""Places: what the demo's data sets say of a district of China and of a country's year."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
LEVELS = {2: "province", 4: "city", 6: "district"}


@dataclass(frozen=True, slots=True)
class Atlas:
    """Everything looked up, by its code."""

    divisions: Mapping[str, str]
    """Names of provinces (two digits), cities (four) and districts (six)."""
    countries: Mapping[str, str]
    gdp_usd: Mapping[tuple[str, int], Decimal]
    population: Mapping[tuple[str, int], int]


@cache
def load_atlas() -> Atlas:
    """The atlas, read once from the data files."""
    divisions = {
        row["code"]: row["name"]
        for name in ("provinces", "cities", "areas")
        for row in _rows(f"china_{name}.csv")
    }
    countries, gdp, population = {}, {}, {}
    for row in _rows("world_gdp.csv"):
        gdp[row["Country Code"], int(row["Year"])] = Decimal(row["Value"])
    for row in _rows("world_population.csv"):
        countries[row["Country Code"]] = row["Country Name"]
        population[row["Country Code"], int(row["Year"])] = int(Decimal(row["Value"]))
    return Atlas(divisions, countries, gdp, population)


def division(atlas: Atlas, code: str) -> dict[str, Any] | None:
    """A division and those it lies in, or None when no code is like this."""
    if code not in atlas.divisions:
        return None
    within = [_named(atlas, code[:length]) for length in (4, 2) if length < len(code)]
    return {**_named(atlas, code), "within": within}


def find_divisions(atlas: Atlas, name: str, limit: int) -> list[dict[str, Any]]:
    """The first `limit` divisions whose name holds `name`, by code."""
    codes = sorted(code for code, found in atlas.divisions.items() if name in found)
    return [_named(atlas, code) for code in codes[:limit]]


def gdp_per_head(atlas: Atlas, country: str, year: int) -> dict[str, Any] | None:
    """A country's product per head in US dollars, or None when a figure is missing."""
    gdp, people = atlas.gdp_usd.get((country, year)), atlas.population.get((country, year))
    if gdp is None or not people:
        return None
    per_head = (gdp / people).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return {
        "country_code": country,
        "country": atlas.countries[country],
        "year": year,
        "gdp_usd": str(gdp),
        "population": people,
        "gdp_per_head_usd": str(per_head),
    }


def _named(atlas: Atlas, code: str) -> dict[str, Any]:
    return {"code": code, "name": atlas.divisions[code], "level": LEVELS[len(code)]}


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
