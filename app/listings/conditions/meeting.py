"""Meeting: whether one row, as a sample keeps it, meets a condition.

Says the same as the SQL that metering makes of an expression, for the few rows that need no engine.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from app.listings.conditions.columns import Column, Kind
from app.listings.conditions.expressions import (
    Absence,
    Comparison,
    Containment,
    Every,
    Expression,
    Likeness,
    Membership,
    Negation,
    Some,
)

CUT = "…"
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def meets(expression: Expression, row: Mapping[str, Any]) -> bool:
    """Whether `row` certainly meets `expression`; not where a value cannot be read back."""
    try:
        return _truth(expression, row) is True
    except (ValueError, InvalidOperation):
        return False


def _truth(expression: Expression, row: Mapping[str, Any]) -> bool | None:
    """True, false, or None where a value is missing, as in SQL."""
    match expression:
        case Negation(inner):
            truth = _truth(inner, row)
            return None if truth is None else not truth
        case Every(parts):
            return _joined(False, (_truth(part, row) for part in parts))
        case Some(parts):
            return _joined(True, (_truth(part, row) for part in parts))
        case Absence(column):
            return _value(column, row) is None
    value = _value(expression.column, row)
    if value is None:
        return None
    match expression:
        case Comparison(_, sign, wanted):
            return _SIGNS[sign](value, wanted)
        case Membership(_, values):
            return value in values
        case Likeness(_, pattern):
            return _like(pattern).fullmatch(value) is not None
        case Containment(_, part):
            return part in value


def _joined(decisive: bool, truths: Iterable[bool | None]) -> bool | None:
    """What parts come to, of which one that is `decisive` decides."""
    found = list(truths)  # all of them: one that cannot be read spoils the row wherever it stands
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def _value(column: Column, row: Mapping[str, Any]) -> Any:
    """The value as it is compared; raises `ValueError` for one that was not kept whole."""
    value = row.get(column.name)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.endswith(CUT):
        raise ValueError("cut short")
    match column.kind:
        case Kind.INTEGER:
            return int(value)
        case Kind.FLOAT:
            return None if math.isnan(float(value)) else float(value)
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.DATE:
            return date.fromisoformat(value)
        case Kind.TIME:
            return time.fromisoformat(value)
        case Kind.TIMESTAMP:
            return datetime.fromisoformat(value)
        case Kind.MOMENT:
            return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        case Kind.TEXT | Kind.BOOLEAN | Kind.BINARY | Kind.NESTED | Kind.OTHER:
            return value
