"""SQL of a query: text from a closed set of pieces, and everything a caller wrote as parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from app.metering.hosted.cursors import Place
from app.metering.hosted.query import HostedQuery, OrderKey

ROW = "t.file_row_number"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters in order."""

    text: str
    parameters: tuple[Any, ...] = ()


def page_statement(
    query: HostedQuery, row_filter: Expression | None, path: str, *, as_stored: bool
) -> Statement:
    """One row more than the page: selected columns `c0`…, sort keys as text `k0`…, the row `r`.

    The columns come as values that JSON and CSV can carry, or `as_stored` for Parquet.
    """
    shape = stored_value if as_stored else wire_value
    columns = [f"{shape(column)} AS c{n}" for n, column in enumerate(query.select)]
    keys = [f"{_key_text(key.column)} AS k{n}" for n, key in enumerate(query.order)]
    wanted = [part for part in (row_filter, query.where) if part is not None]
    conditions = [condition(part) for part in wanted]
    if query.after is not None:
        conditions.append(_after(query.order, query.after))
    if not wanted and not query.order:
        conditions.append(_until(query))
    where = " AND ".join(f"({part.text})" for part in conditions) or "TRUE"
    # Without keys it is the file's own order. The engine keeps it (`preserve_insertion_order`), and
    # stops at the limit; sorting by the row number would read on.
    order = ", ".join([_order(key) for key in query.order] + [ROW])
    sorting = f" ORDER BY {order}" if query.order else ""
    # What becomes of the columns is worked out for the page's rows, not for all that are sorted.
    # Made of names in quotes, numbers and fixed words: what a caller wrote is in the parameters.
    text = (
        f"SELECT {', '.join([*columns, *keys, f'{ROW} AS r'])} FROM ("  # noqa: S608  see above
        f"SELECT * FROM read_parquet(?, file_row_number = true) AS t "
        f"WHERE {where}{sorting} LIMIT {query.limit + 1}) AS t{sorting}"
    )
    return Statement(
        text,
        (path, *(value for part in conditions for value in part.parameters)),
    )


def condition(expression: Expression) -> Statement:
    """`expression` as a SQL condition."""
    match expression:
        case Comparison(column, sign, value):
            return Statement(f"{plain_value(column)} {sign} {_slot(column)}", (value,))
        case Membership(column, values):
            slots = ", ".join([_slot(column)] * len(values))
            return Statement(f"{plain_value(column)} IN ({slots})", values)
        case Likeness(column, pattern):
            return Statement(f"{plain_value(column)} LIKE ?", (pattern,))
        case Containment(column, part):
            return Statement(f"contains({plain_value(column)}, ?)", (part,))
        case Absence(column):
            return Statement(f"{plain_value(column)} IS NULL")
        case Negation(inner):
            made = condition(inner)
            return Statement(f"NOT ({made.text})", made.parameters)
        case Every(parts):
            return _joined(" AND ", parts)
        case Some(parts):
            return _joined(" OR ", parts)


def plain_value(column: Column) -> str:
    """The column as it is compared: NaN is a missing value, a moment is UTC, a UUID is text."""
    name = _name(column)
    if column.kind is Kind.FLOAT:
        return f"nullif({name}, 'NaN'::{column.type})"
    if column.kind is Kind.MOMENT:
        return f"make_timestamp(epoch_us({name}))"
    return f"{name}::VARCHAR" if column.type == "UUID" else name


def stored_value(column: Column) -> str:
    """The column in its own type; NaN is a missing value."""
    return plain_value(column) if column.kind is Kind.FLOAT else _name(column)


def wire_value(column: Column) -> str:
    """The column as JSON and CSV carry it: integers, doubles, booleans or text, exactly."""
    plain = plain_value(column)
    match column.kind:
        case Kind.INTEGER | Kind.TEXT | Kind.BOOLEAN:
            return plain
        case Kind.FLOAT:
            # The shortest digits that name this 32-bit number, not those of its 64-bit twin.
            return f"{plain}::VARCHAR::DOUBLE" if column.type == "FLOAT" else plain
        case Kind.TIMESTAMP:
            return f"replace({plain}::VARCHAR, ' ', 'T')"
        case Kind.MOMENT:
            return f"replace({plain}::VARCHAR, ' ', 'T') || 'Z'"
        case Kind.BINARY:
            return f"base64({plain})"
        case Kind.NESTED:
            return f"to_json({plain})::VARCHAR"
        case Kind.DECIMAL | Kind.DATE | Kind.TIME | Kind.OTHER:
            return f"{plain}::VARCHAR"


def quoted(name: str) -> str:
    """`name` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a SQL literal, where a statement takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _name(column: Column) -> str:
    # Qualified, or ORDER BY and WHERE would take the name for what SELECT makes of the column.
    return f"t.{quoted(column.name)}"


def _slot(column: Column) -> str:
    # A 32-bit column is compared in its own width: what prints as 0.1 equals 0.1.
    return "?::FLOAT" if column.type == "FLOAT" else "?"


def _joined(word: str, parts: Sequence[Expression]) -> Statement:
    made = [condition(part) for part in parts]
    return Statement(
        word.join(f"({part.text})" for part in made),
        tuple(value for part in made for value in part.parameters),
    )


def _order(key: OrderKey) -> str:
    return f"{plain_value(key.column)} {'DESC' if key.descending else 'ASC'} NULLS LAST"


def _key_text(column: Column) -> str:
    """The sort key as text that casts back to the same value."""
    wide = "::DOUBLE" if column.type == "FLOAT" else ""
    return f"{plain_value(column)}{wide}::VARCHAR"


def _after(order: Sequence[OrderKey], place: Place) -> Statement:
    """Rows behind `place`: beyond it in the first key, or level there and beyond in the rest."""
    made = Statement(f"{ROW} > ?", (place.row,))
    for key, text in reversed(list(zip(order, place.keys, strict=True))):
        value = plain_value(key.column)
        if text is None:
            made = Statement(f"{value} IS NULL AND ({made.text})", made.parameters)
            continue
        slot = f"?::{_key_type(key.column)}"
        sign = "<" if key.descending else ">"
        made = Statement(
            f"{value} {sign} {slot} OR {value} IS NULL OR ({value} = {slot} AND ({made.text}))",
            (text, text, *made.parameters),
        )
    return made


def _until(query: HostedQuery) -> Statement:
    """Rows up to one behind the page, where nothing is left out: the engine reads no others.

    A limit alone does not tell its threads where the page ends: they read ahead of each other.
    """
    first = 0 if query.after is None else query.after.row + 1
    return Statement(f"{ROW} <= ?", (first + query.limit,))


def _key_type(column: Column) -> str:
    if column.kind is Kind.MOMENT:
        return "TIMESTAMP"
    if column.type == "UUID":
        return "VARCHAR"
    return "DOUBLE" if column.type == "FLOAT" else column.type
