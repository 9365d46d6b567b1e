"""Operands: each constraint of a licence as ODRL writes it, and back.

A day is written as the moment where it begins or ends in Asia/Shanghai, so that a reader in any
zone means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from app.kernel.clock import SHANGHAI, day_after, day_start, local_day
from app.listings.codes import Delivery, Purpose
from app.listings.errors import LicenceRefused
from app.listings.licences import Clause, LegalConstraint, Licence, Operator

COLUMNS = "zhigu:columns"
ROWS = "zhigu:rows"

_DAYS = re.compile(r"P([0-9]{1,5})([DW])", re.ASCII)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def written_constraints(licence: Licence) -> list[dict[str, Any]]:
    """The constraints of a licence in ODRL; right operands are text or lists of text."""
    found: list[dict[str, Any]] = []

    def add(left: str, operator: str, right: str | list[str]) -> None:
        found.append({"leftOperand": left, "operator": operator, "rightOperand": right})

    if licence.purposes is not None:
        add("purpose", "isAnyOf", [purpose.value for purpose in licence.purposes])
    if licence.count is not None:
        add("count", "lteq", str(licence.count))
    if licence.starts_on is not None:
        add("dateTime", "gteq", _moment(day_start(licence.starts_on)))
    if licence.ends_on is not None:
        add("dateTime", "lt", _moment(day_after(licence.ends_on)))
    if licence.days is not None:
        add("elapsedTime", "lteq", f"P{licence.days}D")
    if licence.channels is not None:
        add("deliveryChannel", "isAnyOf", [channel.value for channel in licence.channels])
    if licence.recipients is not None:
        add("recipient", "isAnyOf", list(licence.recipients))
    if licence.columns is not None:
        add(COLUMNS, "isAnyOf", list(licence.columns))
    if licence.rows is not None:
        add(ROWS, "eq", licence.rows)
    for clause in licence.clauses:
        add(clause.clause.value, clause.operator.value, _one_or_many(clause.values))
    return found


def fields_of(constraints: Iterable[tuple[str, str, list[str], str]]) -> dict[str, Any]:
    """The members of `Licence` that (left, operator, values, path) constraints set."""
    fields: dict[str, Any] = {"clauses": ()}
    for left, operator, values, path in constraints:
        if left in _LEGAL:
            fields["clauses"] += (_clause(left, operator, values, path),)
            continue
        reader = _READERS.get(left)
        if reader is None:
            raise LicenceRefused(f"{left!r} is not in our subset of ODRL.", path=path)
        for name, value in reader(operator, values, path).items():
            if name in fields:
                raise LicenceRefused(f"{left!r} is constrained twice.", path=path)
            fields[name] = value
    return fields


def _purpose(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    try:
        named = tuple(Purpose(value) for value in values)
    except ValueError as error:
        raise LicenceRefused("This is not a purpose that we know.", path=path) from error
    if operator in ("isNoneOf", "neq"):
        return {"purposes": tuple(purpose for purpose in Purpose if purpose not in named)}
    _check_operator(operator, ("eq", "isAnyOf", "isA"), path)
    return {"purposes": _unique(named)}


def _channel(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    _check_operator(operator, ("eq", "isAnyOf"), path)
    try:
        return {"channels": _unique(Delivery(value) for value in values)}
    except ValueError as error:
        raise LicenceRefused("This is not a delivery channel that we know.", path=path) from error


def _recipient(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    _check_operator(operator, ("eq", "isAnyOf"), path)
    return {"recipients": _unique(values)}


def _columns(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    _check_operator(operator, ("eq", "isAnyOf"), path)
    return {"columns": _unique(values)}


def _rows(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    """The condition that rows meet, as text: what it says is read with the data (gates)."""
    _check_operator(operator, ("eq",), path)
    return {"rows": _only_one(values, path)}


def _count(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    _check_operator(operator, ("lteq", "lt"), path)
    text = _only_one(values, path)
    if not _WHOLE.fullmatch(text):
        raise LicenceRefused("A count is a whole number.", path=path)
    return {"count": int(text) - (1 if operator == "lt" else 0)}


def _elapsed(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    _check_operator(operator, ("lteq", "eq"), path)
    match = _DAYS.fullmatch(_only_one(values, path))
    if match is None:
        raise LicenceRefused("An elapsed time is in days or weeks: P90D.", path=path)
    return {"days": int(match[1]) * (7 if match[2] == "W" else 1)}


def _date_time(operator: str, values: list[str], path: str) -> Mapping[str, Any]:
    """A bound in time, as the first or last day; it must fall where a day begins or ends."""
    text = _only_one(values, path)
    _check_operator(operator, ("lt", "lteq", "gt", "gteq"), path)
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            step = {"lt": -1, "gt": 1}.get(operator, 0)
            bound = day + timedelta(days=step)
        else:
            bound = _day_at(datetime.fromisoformat(text), operator, path)
    except (ValueError, OverflowError) as error:
        raise LicenceRefused("A dateTime is a date or an RFC 3339 moment.", path=path) from error
    return {"ends_on" if operator in ("lt", "lteq") else "starts_on": bound}


def _day_at(moment: datetime, operator: str, path: str) -> date:
    if moment.tzinfo is None:
        raise LicenceRefused("A moment names its offset from UTC.", path=path)
    # The last second of a day, as people write an end that is included.
    local = moment.astimezone(SHANGHAI).time()
    if operator in ("lteq", "gt") and local == _LAST_SECOND:
        day = local_day(moment)
        return day if operator == "lteq" else day + timedelta(days=1)
    day = local_day(moment)
    if operator in ("lteq", "gt") or local != _MIDNIGHT:
        raise LicenceRefused(
            "A licence begins and ends with a day in Asia/Shanghai: `gteq` or `lt` midnight.",
            path=path,
        )
    return day if operator == "gteq" else day - timedelta(days=1)


def _clause(left: str, operator: str, values: list[str], path: str) -> LegalConstraint:
    try:
        return LegalConstraint(Clause(left), Operator(operator), tuple(values))
    except ValueError as error:
        raise LicenceRefused(f"{operator!r} is not an operator that we know.", path=path) from error


def _check_operator(operator: str, known: tuple[str, ...], path: str) -> None:
    if operator not in known:
        raise LicenceRefused(
            f"The operator is one of {', '.join(known)} here, not {operator!r}.", path=path
        )


def _only_one(values: list[str], path: str) -> str:
    if len(values) != 1:
        raise LicenceRefused("This compares with one value.", path=path)
    return values[0]


def _one_or_many(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _moment(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).isoformat()


_LAST_SECOND = time(23, 59, 59)
_MIDNIGHT = time()
_LEGAL = frozenset(clause.value for clause in Clause)
_READERS: Mapping[str, Callable[[str, list[str], str], Mapping[str, Any]]] = {
    "purpose": _purpose,
    "count": _count,
    "dateTime": _date_time,
    "elapsedTime": _elapsed,
    "deliveryChannel": _channel,
    "recipient": _recipient,
    COLUMNS: _columns,
    ROWS: _rows,
}
