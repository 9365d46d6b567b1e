"""CloudEvents 1.0 that report use: what each must say, read strictly. Pure.

One event has three outward forms (structured, batched, binary: the HTTP binding of CloudEvents);
all become the same `ReportedUse`, or an `Unreadable` that names everything that is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from app.http.decoding import clean_text
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.clock import epoch_us, from_rfc3339, rfc3339
from app.kernel.refusals import Malformed

REPORTED = "cn.zhigu.usage.reported"
CORRECTED = "cn.zhigu.usage.corrected"
TYPES = (REPORTED, CORRECTED)

MAX_NAME = 200
MAX_SUBJECT = 64
MAX_UNITS = 10**12
MAX_EXTENSIONS = 20
MAX_EXTENSION = 1_000
OPERATION = "reported"


class EventName(NamedTuple):
    """What makes an event the same event, wherever it comes from: its `source` and `id`."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class ReportedUse:
    """One event that can be read. `corrects` names the event that it takes the place of.

    `content_sha256` is of all that counts, and is the same in each of the three forms.
    """

    name: EventName
    contract_id: str
    at_us: int
    units: int
    operation: str
    corrects: EventName | None
    content_sha256: str


class SchemaError(NamedTuple):
    """What is wrong with one member, named by a JSON pointer into the event."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that does not say what it must; `source` and `id` as far as they are text."""

    source: str | None
    id: str | None
    errors: tuple[SchemaError, ...]


def read_event(value: Any) -> ReportedUse | Unreadable:
    """The event in a JSON value that `parse_json` has made."""
    if not isinstance(value, dict):
        return Unreadable(None, None, (SchemaError("", "An event is a JSON object."),))
    # The JSON format reads a null attribute as one that is not there.
    members = {name: member for name, member in value.items() if member is not None}
    reading = _Reading()
    data = members.pop("data", None)
    attributes = _attributes(reading, members)
    return _finish(reading, attributes, _data(reading, attributes, data))


def read_binary(headers: Mapping[str, str], data: Any) -> ReportedUse | Unreadable:
    """The event in `ce-…` headers, names in lower case, whose body is `data`.

    Refuses with `Malformed` a header that is not percent-encoded UTF-8.
    """
    members: dict[str, Any] = {
        name.removeprefix("ce-"): _header_text(name, value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    return read_event({**members, "data": data})


@dataclass(slots=True)
class _Reading:
    """The members of one event as they are read, and what is wrong with them."""

    errors: list[SchemaError] = field(default_factory=list)

    def wrong(self, pointer: str, detail: str) -> None:
        self.errors.append(SchemaError(pointer, detail))

    def take(self, members: dict[str, Any], place: str, name: str, check: _Check) -> Any:
        """The member, taken out of `members`; None when it is missing or wrong."""
        pointer = f"{place}/{name}"
        if name not in members:
            self.wrong(pointer, "This member is missing.")
            return None
        value = members.pop(name)
        if (detail := check(value)) is not None:
            self.wrong(pointer, detail)
            return None
        return value


_Check = Callable[[Any], str | None]
"""What is wrong with a value; None when nothing is."""


def _attributes(reading: _Reading, members: dict[str, Any]) -> dict[str, Any]:
    found = {
        name: reading.take(members, "", name, check)
        for name, check in (
            ("specversion", _one_of("1.0")),
            ("type", _one_of(*TYPES)),
            ("source", _source),
            ("id", _line(MAX_NAME)),
            ("subject", _line(MAX_SUBJECT)),
            ("time", _time),
        )
    }
    for name, check in _OPTIONAL.items():
        if name in members:
            reading.take(members, "", name, check)
    _check_extensions(reading, members)
    return found


def _check_extensions(reading: _Reading, members: Mapping[str, Any]) -> None:
    """Extensions are anybody's: they are bounded, and say nothing to us."""
    if len(members) > MAX_EXTENSIONS:
        reading.wrong("", f"An event has {MAX_EXTENSIONS} extension attributes at most.")
        return
    for name, value in members.items():
        if not _EXTENSION.fullmatch(name):
            reading.wrong(_pointer(name), "An attribute's name is of a–z and 0–9, 20 at most.")
        elif not isinstance(value, str | int):
            reading.wrong(_pointer(name), "An attribute is text, a whole number or a boolean.")
        elif isinstance(value, str) and len(value) > MAX_EXTENSION:
            reading.wrong(_pointer(name), f"An attribute has {MAX_EXTENSION} characters at most.")


def _data(reading: _Reading, attributes: Mapping[str, Any], data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        reading.wrong("/data", "The data are a JSON object.")
        return {}
    members = dict(data)
    corrects = attributes["type"] == CORRECTED
    found = {"units": reading.take(members, "/data", "units", _units(0 if corrects else 1))}
    if members.get("operation") is not None:
        found["operation"] = reading.take(members, "/data", "operation", _operation)
    members.pop("operation", None)
    if corrects:
        named = reading.take(members, "/data", "corrects", _is_object)
        found["corrects"] = {} if named is None else _corrected(reading, dict(named))
    for name in members:
        reading.wrong(f"/data{_pointer(name)}", "There is no such member.")
    return found


def _corrected(reading: _Reading, named: dict[str, Any]) -> dict[str, Any]:
    found = {"id": reading.take(named, "/data/corrects", "id", _line(MAX_NAME))}
    if "source" in named:
        found["source"] = reading.take(named, "/data/corrects", "source", _source)
    for name in named:
        reading.wrong(f"/data/corrects{_pointer(name)}", "There is no such member.")
    return found


def _finish(
    reading: _Reading, attributes: Mapping[str, Any], data: Mapping[str, Any]
) -> ReportedUse | Unreadable:
    if reading.errors:
        return Unreadable(attributes["source"], attributes["id"], tuple(reading.errors))
    name = EventName(attributes["source"], attributes["id"])
    moment = from_rfc3339(attributes["time"].upper())
    operation = data.get("operation", OPERATION)
    corrects = None
    if named := data.get("corrects"):
        corrects = EventName(named.get("source", name.source), named["id"])
    content = {
        "type": attributes["type"],
        "source": name.source,
        "id": name.id,
        "subject": attributes["subject"],
        "time": rfc3339(moment),
        "units": data["units"],
        "operation": operation,
        "corrects": None if corrects is None else list(corrects),
    }
    return ReportedUse(
        name=name,
        contract_id=attributes["subject"],
        at_us=epoch_us(moment),
        units=data["units"],
        operation=operation,
        corrects=corrects,
        content_sha256=sha256_hex(canonical(content)),
    )


def _one_of(*values: str) -> _Check:
    def check(value: Any) -> str | None:
        known = isinstance(value, str) and value in values
        return None if known else f"This is {' or '.join(values)}."

    return check


def _line(longest: int) -> _Check:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and 1 <= len(value) <= longest and not _BREAK.search(value):
            return None
        return f"This is one line of text of 1 to {longest} characters."

    return check


def _source(value: Any) -> str | None:
    if isinstance(value, str) and 1 <= len(value) <= MAX_NAME and _URI_REFERENCE.fullmatch(value):
        return None
    return f"This is a URI reference of 1 to {MAX_NAME} characters (RFC 3986)."


def _time(value: Any) -> str | None:
    wrong = "This is a moment with its offset, as in RFC 3339."
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return wrong
    try:
        moment: datetime = from_rfc3339(value.upper())
    except (ValueError, OverflowError):
        return wrong
    return None if moment.year >= FIRST_YEAR else f"Nothing was metered before {FIRST_YEAR}."


def _units(least: int) -> _Check:
    def check(value: Any) -> str | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and least <= value <= MAX_UNITS:
            return None
        return f"This is a whole number from {least} to {MAX_UNITS}."

    return check


def _operation(value: Any) -> str | None:
    if isinstance(value, str) and _OPERATION.fullmatch(value):
        return None
    return "This is a word of a–z, 0–9, - and _ of 1 to 10 characters."


def _is_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "This is a JSON object."


def _media_type(value: Any) -> str | None:
    known = isinstance(value, str) and value.partition(";")[0].strip().lower() == JSON_TYPE
    return None if known else f"The data are {JSON_TYPE}."


def _header_text(name: str, value: str) -> str:
    """A header's value as text: quoted or not, percent-encoded UTF-8 (HTTP binding §3.1.3.2)."""
    plain = value.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] == '"':
        plain = _ESCAPED.sub(r"\1", plain[1:-1])
    try:
        octets = _PERCENT.sub(lambda found: chr(int(found[1], 16)), plain).encode("latin-1")
        return clean_text(octets.decode("utf-8"))
    except UnicodeError as error:
        raise Malformed(f"The header {name} is not percent-encoded UTF-8.") from error


def _pointer(name: str) -> str:
    return "/" + name[:MAX_NAME].replace("~", "~0").replace("/", "~1")


JSON_TYPE = "application/json"
FIRST_YEAR = 2000
_BREAK = re.compile(r"[\t\n]")
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_OPERATION = re.compile(r"[a-z0-9][a-z0-9_-]{0,9}")
_PERCENT = re.compile("%([0-9A-Fa-f]{2})")
_ESCAPED = re.compile(r"\\(.)")
_URI_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})*"
    r"(?:#(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?"
)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_OPTIONAL: Mapping[str, _Check] = {
    "datacontenttype": _media_type,
    "dataschema": _source,
    "data_base64": lambda _value: "The data are JSON, in the member data.",
}
