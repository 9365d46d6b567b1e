"""Metadata: what a listing says of itself.

Every field may be absent while a listing is a draft; `gates.py` says what publishing needs. What
is read off the data, the organisation or the house itself (`AUTO`) is never taken from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.kernel.canonical import MAX_INTEGER
from app.listings.codes import (
    DataLevel,
    DataRight,
    Delivery,
    DeliveryLevel,
    Form,
    Format,
    ObjectType,
    OpenType,
    PersonalClass,
    PublicDataKind,
    Purpose,
    QualificationKind,
    RegionLevel,
    Scene,
    ShareType,
    SourceMode,
    UpdateCycle,
)
from app.listings.errors import FieldMalformed

# `(?!\n)$`: Python's `$` alone lets a last line feed pass.
Title = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^\n\t]+(?!\n)$")]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\n\t]+(?!\n)$")]
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
Fraction = Annotated[
    str, Meta(pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)(?!\n)$", examples=["0.98"])
]
Count = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Moment = Annotated[datetime, Meta(tz=True)]
Refs = Annotated[tuple[Line, ...], Meta(max_length=50)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of metadata: read strictly, never changed."""


class Evidence(Part, frozen=True, kw_only=True):
    """A document that proves something, by the hash of its file."""

    name: Line
    sha256: Sha256


Evidences = Annotated[tuple[Evidence, ...], Meta(max_length=50)]


class Field(Part, frozen=True, kw_only=True):
    """信息项: what a column means. Names and types of a file's columns are read off the file."""

    name: Line
    type: Line | None = None
    length: Count | None = None
    meaning: Text | None = None
    unit: Line | None = None
    primary_key: bool = False
    sensitive: bool = False
    share_type: ShareType | None = None


Fields = Annotated[tuple[Field, ...], Meta(max_length=1000)]


class Quality(Part, frozen=True, kw_only=True):
    """质量 (GB/T 36344), by the provider's own account: fractions from 0 to 1 as decimal text."""

    completeness: Fraction
    accuracy: Fraction
    consistency: Fraction
    timeliness: Fraction
    conformity: Fraction
    accessibility: Fraction
    report: Evidence | None = None


class UseLimits(Part, frozen=True, kw_only=True):
    """使用限制, in words for people; the licence holds what the gateway enforces."""

    resale: bool
    derive: bool
    count: Count | None = None
    period: Line | None = None
    columns: Refs | None = None
    territory: Line | None = None


class Trial(Part, frozen=True, kw_only=True):
    """试用, as the provider describes it."""

    description: Text


class Qualification(Part, frozen=True, kw_only=True):
    """资质: a certificate, and until when it holds."""

    type: QualificationKind
    no: Line
    issuer: Line
    valid_to: date | None = None
    sha256: Sha256


class Contact(Part, frozen=True, kw_only=True):
    """联系方式; shown masked to the public."""

    name: Line
    phone: Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 -]{4,24}(?!\n)$")] | None = None
    email: Annotated[str, Meta(pattern=r"^[^@\s]{1,64}@[^@\s]{1,185}(?!\n)$")] | None = None


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of domain.md that a provider states; all optional until submit."""

    title: Title | None = None
    title_en: Title | None = None
    object_type: ObjectType | None = None
    abstract: Text | None = None
    keywords: Annotated[tuple[Line, ...], Meta(max_length=30)] | None = None
    sector_code: Line | None = None
    scene: Annotated[tuple[Scene, ...], Meta(max_length=20)] | None = None
    region_code: Line | None = None
    level: RegionLevel | None = None
    resource_class: Line | None = None
    resource_code: Line | None = None
    rights: Annotated[tuple[DataRight, ...], Meta(max_length=3)] | None = None
    rights_evidence: Evidences | None = None
    registration_no: Line | None = None
    source_mode: SourceMode | None = None
    source_statement: Text | None = None
    source_evidence: Evidences | None = None
    parent_products: Refs | None = None
    public_data_kind: PublicDataKind | None = None
    share_type: ShareType | None = None
    share_condition: Text | None = None
    share_method: Line | None = None
    open_type: OpenType | None = None
    open_condition: Text | None = None
    form: Form | None = None
    format: Format | None = None
    schema: Fields | None = None
    api_in: Fields | None = None
    api_out: Fields | None = None
    time_from: date | None = None
    time_to: date | None = None
    space: Text | None = None
    update_cycle: UpdateCycle | None = None
    last_update: Moment | None = None
    quality: Quality | None = None
    data_level: DataLevel | None = None
    pi_class: PersonalClass | None = None
    pi_sensitive: bool | None = None
    pi_minor: bool | None = None
    pia_ref: Evidence | None = None
    consent_ref: Evidence | None = None
    anonymisation_report: Evidence | None = None
    risk_assessment_ref: Evidence | None = None
    purposes_allowed: Annotated[tuple[Purpose, ...], Meta(max_length=6)] | None = None
    purposes_denied: Annotated[tuple[Purpose, ...], Meta(max_length=6)] | None = None
    user_requirements: Text | None = None
    use_limits: UseLimits | None = None
    delivery_modes: Annotated[tuple[Delivery, ...], Meta(max_length=4)] | None = None
    delivery_level: DeliveryLevel | None = None
    tech_doc: Evidence | None = None
    trial: Trial | None = None
    qualifications: Annotated[tuple[Qualification, ...], Meta(max_length=50)] | None = None
    cases: Text | None = None
    collection_standard: Line | None = None
    contact: Contact | None = None
    related_codes: Refs | None = None


AUTO = (
    "product_id",
    "provider_id",
    "provider_code",
    "row_count",
    "size_bytes",
    "sample_ref",
    "pricing",
    "version",
    "content_hash",
    "publish_date",
    "status",
    "reviewed_by",
    "review_log",
)
"""Fields of domain.md that the house fills; naming one in a request is an unknown member."""


def metadata_from(document: Mapping[str, Any]) -> Metadata:
    """The metadata in plain JSON values; raises `FieldMalformed` naming the first bad field."""
    try:
        return msgspec.convert(document, Metadata)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise FieldMalformed(message, path=f".metadata{path.rstrip('`')}") from error


def metadata_document(metadata: Metadata) -> dict[str, Any]:
    """The stated fields as plain JSON values, without floats; an absent field is left out."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(metadata))
    return {name: value for name, value in document.items() if value is not None}


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with the members of `patch` put in; null takes a field away.

    Unlike RFC 7396, a field is replaced whole: half a table of columns would be nobody's meaning.
    """
    joined = {**document, **patch}
    return {name: value for name, value in joined.items() if value is not None}


def masked_contact(contact: Contact) -> Contact:
    """The contact as the public sees it: who, but not how to flood them."""
    return Contact(
        name=contact.name,
        phone=contact.phone and _mask_phone(contact.phone),
        email=contact.email and _mask_email(contact.email),
    )


def _mask_phone(phone: str) -> str:
    return phone[:3] + "*" * max(0, len(phone) - 5) + phone[-2:]


def _mask_email(email: str) -> str:
    name, _, domain = email.partition("@")
    return f"{name[:1]}***@{domain}"


def stated_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the provider stated, out of a version's whole document."""
    return {name: document[name] for name in Metadata.__struct_fields__ if name in document}
