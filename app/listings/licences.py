"""Licences: the terms of use as one structured value, and which of them the gateway enforces.

The same value is read from and written as ODRL (`odrl.py`). A licence permits some actions under
one set of constraints, prohibits others, and names duties. What can be counted or compared at a
call is enforced; everything else is a clause for people and courts, and is told apart plainly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.kernel.canonical import MAX_INTEGER
from app.kernel.clock import check_day, day_after, day_start
from app.kernel.ids import kind_of
from app.listings.codes import Delivery, Purpose
from app.listings.errors import LicenceMalformed, LicenceRefused

MAX_DAYS = 36_500
MAX_VALUES = 1000
MAX_CONDITION_CHARS = 2000


class Action(StrEnum):
    """What a licence may permit or prohibit (ODRL 2.2 and the `cc:` vocabulary)."""

    USE = "use"
    READ = "read"
    REPRODUCE = "reproduce"
    DERIVE = "derive"
    MODIFY = "modify"
    TRANSFORM = "transform"
    EXTRACT = "extract"
    AGGREGATE = "aggregate"
    ANONYMIZE = "anonymize"
    INDEX = "index"
    DISTRIBUTE = "distribute"
    SELL = "sell"
    GRANT_USE = "grantUse"
    COMMERCIAL_USE = "cc:CommercialUse"


class Duty(StrEnum):
    """What the buyer owes in return; for people and courts, not for the gateway."""

    COMPENSATE = "compensate"
    ATTRIBUTE = "attribute"
    INFORM = "inform"
    DELETE = "delete"
    ACCEPT_TRACKING = "acceptTracking"
    OBTAIN_CONSENT = "obtainConsent"
    NEXT_POLICY = "nextPolicy"


class Clause(StrEnum):
    """Constraints that only people and courts can hold."""

    TIME_INTERVAL = "timeInterval"
    INDUSTRY = "industry"
    SPATIAL = "spatial"
    FILE_FORMAT = "fileFormat"
    VERSION = "version"
    PAY_AMOUNT = "payAmount"
    PERCENTAGE = "percentage"


class Operator(StrEnum):
    """How a constraint compares."""

    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTEQ = "lteq"
    GT = "gt"
    GTEQ = "gteq"
    IS_A = "isA"
    IS_ANY_OF = "isAnyOf"
    IS_NONE_OF = "isNoneOf"
    IS_PART_OF = "isPartOf"


Value = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\n\t]+(?!\n)$")]


Condition = Annotated[
    str, Meta(min_length=1, max_length=MAX_CONDITION_CHARS, pattern=r"^[^\n\t]+(?!\n)$")
]


class LegalConstraint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A constraint that is written into the terms but that no machine here checks."""

    clause: Clause
    operator: Operator
    values: Annotated[tuple[Value, ...], Meta(min_length=1, max_length=MAX_VALUES)]


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of use. A constraint that is absent does not constrain.

    `count`: calls, rows or bytes in the plan's meter over the whole contract. `starts_on` and
    `ends_on`: first and last day, Asia/Shanghai. `days`: the longest contract. `recipients`:
    the only organisations that may buy. `columns`: the only columns that are shown. `rows`: a
    condition over any columns (`conditions`) that the only rows shown meet; the gates read it.
    """

    actions: tuple[Action, ...]
    prohibited: tuple[Action, ...] = ()
    duties: tuple[Duty, ...] = ()
    purposes: tuple[Purpose, ...] | None = None
    count: int | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    days: int | None = None
    channels: tuple[Delivery, ...] | None = None
    recipients: tuple[Value, ...] | None = None
    columns: tuple[Value, ...] | None = None
    rows: Condition | None = None
    clauses: tuple[LegalConstraint, ...] = ()

    def __post_init__(self) -> None:
        _check_actions(self)
        _check_numbers(self)
        for name in ("purposes", "channels", "recipients", "columns"):
            _check_set(name, getattr(self, name))
        if self.recipients and any(kind_of(text) != "org" for text in self.recipients):
            raise LicenceRefused("A recipient is an organisation's id.", rule="recipients")


@dataclass(frozen=True, slots=True)
class EnforcedTerms:
    """What the gateway holds of a licence: half-open moments, sets to be in; None: no bound."""

    purposes: tuple[str, ...]
    count: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    days: int | None
    channels: tuple[str, ...]
    recipients: frozenset[str] | None
    columns: tuple[str, ...] | None
    rows: str | None


def licence_from_terms(document: Mapping[str, Any]) -> Licence:
    """The licence in structured terms.

    Raises `LicenceMalformed` naming the first member that cannot be read, or `LicenceRefused`.
    """
    try:
        return msgspec.convert(document, Licence)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise LicenceMalformed(message, path=path.rstrip("`")) from error


def licence_document(licence: Licence) -> dict[str, Any]:
    """The structured terms as plain JSON values."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(licence))
    return document


def enforceable(licence: Licence) -> EnforcedTerms:
    """The part of a licence that a machine keeps; an absent constraint allows everything."""
    return EnforcedTerms(
        purposes=tuple(purpose.value for purpose in licence.purposes or tuple(Purpose)),
        count=licence.count,
        starts_at=None if licence.starts_on is None else day_start(licence.starts_on),
        ends_at=None if licence.ends_on is None else day_after(licence.ends_on),
        days=licence.days,
        channels=tuple(channel.value for channel in licence.channels or tuple(Delivery)),
        recipients=None if licence.recipients is None else frozenset(licence.recipients),
        columns=licence.columns,
        rows=licence.rows,
    )


def enforced_names(licence: Licence) -> list[str]:
    """The ODRL names of the clauses that the gateway enforces, for the signed terms."""
    present = {
        "purpose": licence.purposes,
        "count": licence.count,
        "dateTime": licence.starts_on or licence.ends_on,
        "elapsedTime": licence.days,
        "deliveryChannel": licence.channels,
        "recipient": licence.recipients,
        "columns": licence.columns,
        "rows": licence.rows,
    }
    return [name for name, value in present.items() if value is not None]


def legal_only_names(licence: Licence) -> list[str]:
    """The ODRL names of the clauses that only people and courts can hold, for the signed terms."""
    reads = {Action.USE, Action.READ}
    names = [f"permission:{action.value}" for action in licence.actions if action not in reads]
    names += [f"prohibition:{action.value}" for action in licence.prohibited]
    names += [f"duty:{duty.value}" for duty in licence.duties]
    return names + [clause.clause.value for clause in licence.clauses]


def _check_actions(licence: Licence) -> None:
    if not {Action.USE, Action.READ} & set(licence.actions):
        raise LicenceRefused("A licence permits `use` or `read`.", rule="actions")
    for name in ("actions", "prohibited", "duties"):
        _check_set(name, getattr(licence, name) or None)
    if both := set(licence.actions) & set(licence.prohibited):
        raise LicenceRefused(
            f"Both permitted and prohibited: {', '.join(sorted(both))}.", rule="conflict"
        )


def _check_numbers(licence: Licence) -> None:
    if licence.count is not None and not 0 <= licence.count <= MAX_INTEGER:
        raise LicenceRefused("`count` is a whole number from 0 below 2^53.", rule="count")
    if licence.days is not None and not 1 <= licence.days <= MAX_DAYS:
        raise LicenceRefused(f"`days` is 1 to {MAX_DAYS}.", rule="days")
    for day in (licence.starts_on, licence.ends_on):
        if day is not None:
            check_day(day)
    if licence.starts_on and licence.ends_on and licence.ends_on < licence.starts_on:
        raise LicenceRefused("The licence ends before it starts.", rule="dates")


def _check_set(name: str, values: tuple[object, ...] | None) -> None:
    if values is None:
        return
    if not 1 <= len(values) <= MAX_VALUES:
        raise LicenceRefused(f"`{name}` has 1 to {MAX_VALUES} entries, or is absent.", rule=name)
    if len(set(values)) != len(values):
        raise LicenceRefused(f"`{name}` names something twice.", rule=name)
