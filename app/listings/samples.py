"""Samples: the few rows that a public page shows: licensed ones, with what is sensitive masked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from app.listings.conditions.columns import columns_of
from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.expressions import parse_expression
from app.listings.conditions.meeting import meets

MASK = "***"

_TEXT_TYPES = frozenset({"VARCHAR", "BLOB", "UUID"})
# What names a person wherever it stands: mobile numbers, identity cards, e-mail.
_PERSONAL = re.compile(
    r"(?<![0-9])(?:1[3-9][0-9]{9}|[1-9][0-9]{16}[0-9Xx])(?![0-9])"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)


def licensed_rows(
    rows: Iterable[Mapping[str, Any]], condition: str, columns: Sequence[Mapping[str, str]]
) -> list[Mapping[str, Any]]:
    """The rows that certainly meet a licence's condition; none while it cannot be read."""
    try:
        expression = parse_expression(condition, columns_of(columns), "rows")
    except QueryRefused:
        return []  # of a draft: the gates will say what is wrong
    return [row for row in rows if meets(expression, row)]


def masked_names(
    columns: Sequence[Mapping[str, str]], fields: Iterable[Mapping[str, Any]], *, personal: bool
) -> list[str]:
    """The columns whose values are not shown: marked sensitive, or any text of personal data."""
    sensitive = {field["name"] for field in fields if field.get("sensitive")}
    return [
        column["name"]
        for column in columns
        if column["name"] in sensitive or (personal and column["type"] in _TEXT_TYPES)
    ]


def masked_rows(
    rows: Iterable[Mapping[str, Any]], shown: Sequence[str], masked: Collection[str]
) -> list[dict[str, Any]]:
    """`rows` with the `shown` columns only, `masked` ones as `***`; absent values stay absent."""
    return [{name: _masked(row.get(name), hide=name in masked) for name in shown} for row in rows]


def _masked(value: Any, *, hide: bool) -> Any:
    if value is None:
        return None
    if hide:
        return MASK
    if isinstance(value, str):
        return _PERSONAL.sub(MASK, value)
    # A number may be a mobile's or a card's as well.
    if isinstance(value, int) and not isinstance(value, bool):
        return MASK if _PERSONAL.fullmatch(str(value)) else value
    return value
