"""Gates: what must hold before a listing is published; all that fail are told at once.

Pure: a candidate in, failures out. A failure names its gate (a missing field by its own name), the
reason for a person, and the legal basis in force on that day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.listings.codes import (
    DataLevel,
    Delivery,
    Form,
    OpenType,
    PersonalClass,
    PublicDataKind,
    Purpose,
    QualificationKind,
    SourceMode,
    is_region_code,
    is_sector_code,
)
from app.listings.conditions.columns import columns_of
from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.expressions import parse_expression
from app.listings.legal_rules import basis
from app.listings.licences import Licence
from app.listings.metadata import Metadata
from app.listings.plans import Meter, Plan
from app.listings.prices import can_cost

TABULAR = frozenset({Delivery.HOSTED, Delivery.FILE})
_COUNTED_HERE = frozenset({Meter.CALL, Meter.ROW, Meter.BYTE})
COUNTABLE: Mapping[Delivery, frozenset[Meter]] = {
    Delivery.HOSTED: _COUNTED_HERE,
    Delivery.FILE: _COUNTED_HERE,
    # What a row or an item is in somebody else's answer, nobody here can tell.
    Delivery.UPSTREAM: frozenset({Meter.CALL, Meter.BYTE}),
    Delivery.REPORTED: frozenset(Meter),
}
"""What can be counted of each delivery: only that can be sold."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a listing may not be published."""

    gate: str
    reason: str
    basis: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listing as it asks to be published: all that a gate may look at.

    `columns`: DuckDB's type of each column by its name; None without a file.
    """

    metadata: Metadata
    delivery: Delivery
    licence: Licence | None
    plans: Sequence[Plan]
    columns: Mapping[str, str] | None
    has_upstream: bool
    today: date


@dataclass(frozen=True, slots=True)
class _No:
    gate: str
    reason: str
    rule: str = "description"


_REQUIRED: Mapping[str, str] = {
    "title": "description",
    "object_type": "description",
    "abstract": "description",
    "keywords": "description",
    "sector_code": "description",
    "scene": "description",
    "region_code": "description",
    "level": "description",
    "rights": "rights",
    "rights_evidence": "rights",
    "source_mode": "source",
    "source_statement": "source",
    "source_evidence": "source",
    "public_data_kind": "government",
    "form": "description",
    "format": "description",
    "time_from": "description",
    "time_to": "description",
    "update_cycle": "description",
    "last_update": "description",
    "quality": "description",
    "data_level": "level",
    "pi_class": "personal",
    "pi_sensitive": "personal",
    "pi_minor": "minors",
    "purposes_allowed": "contract",
    "purposes_denied": "contract",
    "use_limits": "contract",
    "delivery_modes": "description",
    "delivery_level": "description",
    "qualifications": "source",
    "contact": "description",
}
_MAY_BE_EMPTY = frozenset({"purposes_denied"})
_NEEDED_BY_API = ("api_in", "api_out", "tech_doc")
_NEEDED_BY_GOVERNMENT = ("registration_no", "resource_class", "resource_code")


def failures(candidate: Candidate) -> list[Failure]:
    """Every gate that does not let `candidate` through, in a fixed order; none: publish it."""
    return [
        Failure(no.gate, no.reason, basis(no.rule, candidate.today))
        for gate in _GATES
        for no in gate(candidate)
    ]


def _fields_present(candidate: Candidate) -> Iterator[_No]:
    for name, rule in _REQUIRED.items():
        if _is_missing(candidate.metadata, name):
            yield _No(name, f"The field {name} is missing.", rule)


def _fields_by_trigger(candidate: Candidate) -> Iterator[_No]:
    metadata = candidate.metadata
    if metadata.form is Form.API:
        yield from _missing(metadata, _NEEDED_BY_API, "an API needs it")
    if metadata.public_data_kind not in (None, PublicDataKind.NONE):
        yield from _missing(metadata, _NEEDED_BY_GOVERNMENT, "public data needs it", "government")
    if metadata.public_data_kind is PublicDataKind.OPEN:
        yield from _missing(metadata, ("open_type",), "open data needs it", "government")
    if metadata.open_type is OpenType.CONDITIONAL:
        yield from _missing(metadata, ("open_condition",), "conditional opening needs it")
    if metadata.source_mode is SourceMode.TRADED:
        yield from _missing(metadata, ("parent_products",), "traded data has a parent", "source")


def _shapes(candidate: Candidate) -> Iterator[_No]:
    metadata = candidate.metadata
    if metadata.region_code is not None and not is_region_code(metadata.region_code):
        yield _No("region_code", "The region is six digits of GB/T 2260.")
    if metadata.sector_code is not None and not is_sector_code(metadata.sector_code):
        yield _No("sector_code", "The sector is a letter of GB/T 4754 and maybe 2 to 4 digits.")
    if metadata.time_from and metadata.time_to and metadata.time_to < metadata.time_from:
        yield _No("time_to", "The time range ends before it begins.")
    contact = metadata.contact
    if contact is not None and contact.phone is None and contact.email is None:
        yield _No("contact", "The contact has neither phone nor email.")
    if metadata.delivery_modes and candidate.delivery not in metadata.delivery_modes:
        yield _No("delivery_modes", f"The listing is delivered as {candidate.delivery.value}.")


def _qualifications(candidate: Candidate) -> Iterator[_No]:
    held = candidate.metadata.qualifications
    if not held:
        return
    valid = {q.type for q in held if q.valid_to is None or q.valid_to >= candidate.today}
    for kind in (QualificationKind.COMPLIANCE, QualificationKind.COMMITMENT):
        if kind not in valid:
            yield _No("qualifications", f"A valid {kind.value} qualification is missing.", "source")


def _levels(candidate: Candidate) -> Iterator[_No]:
    metadata = candidate.metadata
    if metadata.data_level is DataLevel.CORE:
        yield _No("data_level", "Core data is not traded.", "level")
    if metadata.data_level is DataLevel.IMPORTANT:
        yield from _missing(
            metadata, ("risk_assessment_ref",), "important data needs it", "important"
        )


def _persons(candidate: Candidate) -> Iterator[_No]:
    metadata = candidate.metadata
    kind = metadata.pi_class
    if kind is PersonalClass.ANONYMISED:
        yield from _missing(
            metadata, ("anonymisation_report",), "anonymised data needs it", "anonymised"
        )
    if kind in _PERSONAL:
        yield from _missing(metadata, ("pia_ref",), "personal data needs it", "assessment")
        yield from _missing(metadata, ("consent_ref",), "personal data needs it", "personal")
    elif metadata.pi_sensitive or metadata.pi_minor:
        yield _No("pi_class", "Sensitive or minors' data is personal data.", "minors")
    if kind is PersonalClass.SENSITIVE and metadata.pi_sensitive is False:
        yield _No("pi_sensitive", "The class says sensitive, this field says not.", "minors")


def _government(candidate: Candidate) -> Iterator[_No]:
    metadata = candidate.metadata
    public = metadata.public_data_kind not in (None, PublicDataKind.NONE)
    if metadata.public_data_kind is PublicDataKind.SHARED:
        yield _No("public_data_kind", "Shared government data is never listed.", "government")
    if public and metadata.pi_class in _PERSONAL:
        yield _No("pi_class", "Personal government data is share-only.", "government")
    if metadata.open_type is OpenType.DENIED:
        yield _No("open_type", "What is not opened cannot be listed.", "secrets")


def _prices(candidate: Candidate) -> Iterator[_No]:
    if not candidate.plans:
        yield _No("pricing", "There is no plan.", "price")
    if is_open(candidate.metadata) and any(can_cost(plan) for plan in candidate.plans):
        yield _No("pricing", "Open government data is free of charge.", "price")
    for plan in candidate.plans:
        if plan.meter not in COUNTABLE[candidate.delivery]:
            yield _No("pricing", f"{plan.name}: the delivery does not count by the {plan.meter}.")


def _licence(candidate: Candidate) -> Iterator[_No]:
    licence, metadata = candidate.licence, candidate.metadata
    if licence is None:
        yield _No("licence", "There are no licence terms.", "contract")
        return
    allowed = set(metadata.purposes_allowed or ())
    if allowed and not set(licence.purposes or Purpose) <= allowed:
        yield _No("licence", "The licence allows a purpose that the metadata does not.", "contract")
    denied = allowed & set(metadata.purposes_denied or ())
    if denied:
        names = ", ".join(sorted(denied))
        yield _No("purposes_denied", f"Both allowed and denied: {names}.", "contract")
    if licence.channels is not None and candidate.delivery not in licence.channels:
        yield _No("licence", "The licence does not allow the listing's own delivery.", "contract")
    if licence.ends_on is not None and licence.ends_on < candidate.today:
        yield _No("licence", "The licence is over.", "contract")
    unknown = set(licence.columns or ()) - set(candidate.columns or licence.columns or ())
    if unknown:
        names = ", ".join(sorted(unknown))
        yield _No("licence", f"The licence names columns that are not there: {names}.", "contract")


def _licensed_part(candidate: Candidate) -> Iterator[_No]:
    """Columns and rows are kept apart only of data that lie here, and rows by what can be read."""
    licence = candidate.licence
    if licence is None or (licence.columns is None and licence.rows is None):
        return
    if candidate.delivery not in TABULAR:
        yield _No("licence", "Columns and rows can be kept of hosted data only.", "contract")
    elif licence.rows is not None and candidate.columns is not None:
        schema = [{"name": name, "type": kind} for name, kind in candidate.columns.items()]
        try:
            parse_expression(licence.rows, columns_of(schema), "rows")
        except QueryRefused as refused:
            where = f"character {refused.position + 1}"
            reason = f"The licence's rows cannot be read at {where}: {refused.detail}"
            yield _No("licence", reason, "contract")


def _data(candidate: Candidate) -> Iterator[_No]:
    if candidate.delivery is Delivery.UPSTREAM and not candidate.has_upstream:
        yield _No("upstream", "There is no upstream to call.")
    if candidate.delivery not in TABULAR:
        return
    if candidate.columns is None:
        for gate in ("schema", "row_count", "size_bytes", "sample_ref"):
            yield _No(gate, f"The field {gate} is read off the data: upload a file.")
        return
    described = {field.name for field in candidate.metadata.schema or ()}
    if unknown := described - set(candidate.columns):
        names = ", ".join(sorted(unknown))
        yield _No("schema", f"The file has no such columns: {names}.")


def is_open(metadata: Metadata) -> bool:
    """Whether it is open government data, whose price is zero."""
    return metadata.public_data_kind is PublicDataKind.OPEN


def _is_missing(metadata: Metadata, name: str) -> bool:
    value: Any = getattr(metadata, name)
    if isinstance(value, str) and not value.strip():
        return True
    return value is None or (value == () and name not in _MAY_BE_EMPTY)


def _missing(
    metadata: Metadata, names: Sequence[str], why: str, rule: str = "description"
) -> Iterator[_No]:
    for name in names:
        if _is_missing(metadata, name):
            yield _No(name, f"The field {name} is missing: {why}.", rule)


_PERSONAL = frozenset({PersonalClass.DEIDENTIFIED, PersonalClass.PERSONAL, PersonalClass.SENSITIVE})
_GATES: tuple[Callable[[Candidate], Iterator[_No]], ...] = (
    _fields_present,
    _fields_by_trigger,
    _shapes,
    _qualifications,
    _levels,
    _persons,
    _government,
    _data,
    _prices,
    _licence,
    _licensed_part,
)
