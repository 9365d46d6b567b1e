"""Inference: which type a column of text holds, decided on all its values.

A type is chosen only when writing its values out again gives the same text, or the same number:
`007` stays text, and so does a number of more digits than a double keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

# A SQL condition on the text `{x}` for each type, tried in this order.
PREDICATES: Mapping[str, str] = {
    "BOOLEAN": "{x} IN ('true', 'false')",
    "BIGINT": "coalesce(TRY_CAST({x} AS BIGINT)::VARCHAR = {x}, false)",
    "DOUBLE": (
        "regexp_full_match({x}, '-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]{{1,3}})?')"
        " AND length(replace(replace(split_part(lower({x}), 'e', 1), '-', ''), '.', '')) <= 17"
        " AND isfinite(coalesce(TRY_CAST({x} AS DOUBLE), 'nan'::DOUBLE))"
    ),
    "DATE": "coalesce(TRY_CAST({x} AS DATE)::VARCHAR = {x}, false)",
    "TIMESTAMP": (
        "regexp_full_match({x}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]"
        "[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{1,6}})?')"
        " AND TRY_CAST({x} AS TIMESTAMP) IS NOT NULL"
    ),
    "TIMESTAMP WITH TIME ZONE": (
        "regexp_full_match({x}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]"
        "[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}([.][0-9]{{1,6}})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})')"
        " AND TRY_CAST({x} AS TIMESTAMPTZ) IS NOT NULL"
    ),
}
TEXT = "VARCHAR"

# DuckDB's names of JSON's kinds; what is none of them, such as a number beyond 64 bits, is OTHER.
_KINDS = ("ARRAY", "OBJECT", "BOOLEAN", "BIGINT", "UBIGINT", "DOUBLE", "VARCHAR", "OTHER")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_WHOLE = frozenset({"BIGINT", "UBIGINT"})
_NUMBERS = _WHOLE | {"DOUBLE"}


def checks(text: str) -> list[str]:
    """SQL aggregates over a column whose text is the expression `text`, one per predicate.

    Each is true when every value fits, null when there is none.
    """
    return [
        f"bool_and({predicate.format(x=text)}) FILTER ({text} IS NOT NULL)"
        for predicate in PREDICATES.values()
    ]


def fitting(answers: Collection[bool | None]) -> list[str]:
    """The types whose check came out true, in order."""
    return [name for name, fits in zip(PREDICATES, answers, strict=True) if fits]


def kinds_met(kind: str) -> str:
    """A SQL aggregate over the expression `kind`: a bit for each kind of JSON value that is met.

    `list(DISTINCT …)` would say the same, but takes megabytes of memory for each column.
    """
    cases = " ".join(f"WHEN '{name}' THEN {1 << bit}" for bit, name in enumerate(_KINDS[:-1]))
    present = f"coalesce({kind}, 'NULL')"  # a line that leaves the member out counts as null
    return f"bit_or(CASE {present} WHEN 'NULL' THEN 0 {cases} ELSE {1 << len(_KINDS[:-1])} END)"


def kinds_of(bits: int | None) -> frozenset[str]:
    """The kinds that `kinds_met` tells of; None when there was no value at all."""
    return frozenset(name for bit, name in enumerate(_KINDS) if (bits or 0) >> bit & 1)


def type_of_text(fits: Collection[str]) -> str:
    """The type of a column of plain text (CSV)."""
    return next(iter(fits), TEXT)


def type_of_json(found: frozenset[str], fits: Collection[str]) -> str | None:
    """The type of a column of JSON values of the kinds that were `found`; None for nested ones.

    A JSON string never becomes a number or a truth value: its writer meant text.
    """
    if found & {"ARRAY", "OBJECT"}:
        return None
    if found == {"BOOLEAN"}:
        return "BOOLEAN"
    if found and found <= _WHOLE and "BIGINT" in fits:
        return "BIGINT"
    if found and found <= _NUMBERS and "DOUBLE" in fits:
        return "DOUBLE"
    if found == {"VARCHAR"}:
        return next((name for name in fits if name in _TIMES), TEXT)
    return TEXT
