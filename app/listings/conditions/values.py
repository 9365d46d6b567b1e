"""Literals: a token read as a value of its column's kind, exactly or not at all."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal

from app.listings.conditions.columns import NUMERIC, Column, Kind
from app.listings.conditions.tokens import Token, TokenKind

Value = bool | int | float | Decimal | str | date | time | datetime

PATTERN_MAX_LENGTH = 256
# What DuckDB's widest decimal and integer hold.
DIGITS_MAX = 38


class ValueMisfit(ValueError):
    """A literal does not fit the kind of its column; the text says what would."""


def value_of(token: Token, column: Column) -> Value:
    """The value written by `token` for `column`; raises `ValueMisfit`."""
    if column.kind in NUMERIC:
        if token.kind is not TokenKind.NUMBER:
            raise ValueMisfit(f"Column {column.name!r} holds numbers: write one without quotes.")
        return _number(token.text, column.kind)
    if column.kind is Kind.BOOLEAN:
        if not (token.is_word("true") or token.is_word("false")):
            raise ValueMisfit(f"Column {column.name!r} holds true or false.")
        return token.is_word("true")
    if token.kind is not TokenKind.TEXT:
        raise ValueMisfit(f"Column {column.name!r} holds {column.kind}: write it in single quotes.")
    return token.text if column.kind is Kind.TEXT else _temporal(token.text, column.kind)


def _number(text: str, kind: Kind) -> Value:
    if kind is Kind.FLOAT:
        number = float(text)
        if math.isinf(number):
            raise ValueMisfit("The number is too large.")
        return number
    exact = Decimal(text)
    digits, exponent = len(exact.as_tuple().digits), int(exact.as_tuple().exponent)
    if digits + max(exponent, 0) > DIGITS_MAX or -exponent > DIGITS_MAX:
        raise ValueMisfit(f"A number has at most {DIGITS_MAX} digits.")
    if kind is Kind.DECIMAL:
        return exact
    if exact != exact.to_integral_value():
        raise ValueMisfit("The column holds whole numbers.")
    return int(exact)


def _temporal(text: str, kind: Kind) -> Value:
    if not _SHAPES[kind].fullmatch(text):
        raise ValueMisfit(f"Write a {kind} such as '{_EXAMPLES[kind]}'.")
    try:
        if kind is Kind.DATE:
            return date.fromisoformat(text)
        if kind is Kind.TIME:
            return time.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if kind is Kind.MOMENT else moment
    except (ValueError, OverflowError):
        raise ValueMisfit(f"There is no such {kind}.") from None


_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"
_SHAPES = {
    Kind.DATE: re.compile(_DATE, re.ASCII),
    Kind.TIME: re.compile(_TIME, re.ASCII),
    Kind.TIMESTAMP: re.compile(f"{_DATE}(?:[T ]{_TIME})?", re.ASCII),
    Kind.MOMENT: re.compile(rf"{_DATE}[T ]{_TIME}(?:Z|[+-]\d{{2}}:\d{{2}})", re.ASCII),
}
_EXAMPLES = {
    Kind.DATE: "2026-01-31",
    Kind.TIME: "08:30:00",
    Kind.TIMESTAMP: "2026-01-31T08:30:00",
    Kind.MOMENT: "2026-01-31T08:30:00Z",
}
