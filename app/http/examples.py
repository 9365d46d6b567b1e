"""Examples: what a body looks like, made from the very type that reads or writes it.

Nothing is written down twice: a type says most of it (an enumeration's first value, a bound, the
`examples` of a `Meta`), a member's name says what it means everywhere (`WORDS`), and what only one
shape can say stands beside it (`looks_like`). A test shows that no `UNKNOWN` is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, inspect

UNKNOWN = "?"
"""Stands where nobody has said what a member looks like."""

Shape = TypeVar("Shape", bound=type)

_DECLARED: dict[type, Mapping[str, Any]] = {}


def example_id(prefix: str, number: int = 1) -> str:
    """A well-formed id; equal numbers name the same row in every example."""
    return f"{prefix}_01k90w4k80e2s8m4y7v3q6x9{number:02d}"


SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MOMENT, LATER, DAY = "2026-11-02T01:00:00Z", "2026-12-01T01:00:00Z", "2026-11-02"
WORDS: Mapping[str, Any] = {
    "organisation_id": example_id("org"),
    "provider_id": example_id("org"),
    "buyer_id": example_id("org", 2),
    "client_id": example_id("cli"),
    "person_id": example_id("usr"),
    "key_id": example_id("key"),
    "seat_id": example_id("seat"),
    "delegation_id": example_id("dlg"),
    "domain": "example.cn",
    "listing_id": example_id("lst"),
    "version_id": example_id("ver"),
    "plan_id": example_id("pln"),
    "negotiation_id": example_id("neg"),
    "contract_id": example_id("ctr"),
    "any_id": example_id("ctr"),
    "subject": example_id("ctr"),
    "grant_id": example_id("grt"),
    "event_id": example_id("evt"),
    "invoice_id": example_id("inv"),
    "payment_id": example_id("pay"),
    "payout_id": example_id("pyo"),
    "notice_id": example_id("ntc"),
    "transfer_id": example_id("trf"),
    **dict.fromkeys(
        (
            *("sha256", "parquet_sha256", "terms_sha256", "request_sha256"),
            *("content_hash", "content_sha256", "commitment"),
        ),
        SHA256,
    ),
    **dict.fromkeys(("starts_at", "activated_at", "listed_at"), MOMENT),
    **dict.fromkeys(("ends_at", "due_at", "expires_at"), LATER),
    "starts_on": DAY,
    "ends_on": "2027-11-01",
    "name": "智谷示例有限公司",
    "reason": "预算已用完",
    "slug": "world-gdp",
    "title": "世界各国国内生产总值",
    "title_en": "Gross domestic product of the world's countries",
    "abstract": "1960 年以来各国国内生产总值，按年。",
    "sector_code": "L72",
    "region_code": "500108",
    "purpose": "RESEARCH",
    "channel": "hosted",
    "currency": "CNY",
    "amount_minor": 1250,
    "period": "2026-11",
    "model": "per_unit",
    "meter": "call",
    "units": 1000,
    "row_count": 262,
    "size_bytes": 18_432,
    "columns": [{"name": "country", "type": "VARCHAR"}],
    "salt": "q5Zs1T0c0mYx8yqXoDkXb0m3m7Jv9rQ2u4C6w8E0a1g=",
    "proof": ["L0lZ1mYvF0b0r8mX9pE2uQ4s6t8v0x2z4A6C8E0G2I4="],
    "signature": "eyJhbGciOiJFZDI1NTE5In0..c2lnbmF0dXJl",
    "jws": "eyJhbGciOiJFZDI1NTE5In0..c2lnbmF0dXJl",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    "email": "zhang@example.cn",
    "contact": {"name": "张三", "email": "zhang@example.cn"},
    "password": "correct horse battery",
    "client_secret": "Yk3vQ9m2T8r5W1x7Z4a6B0c9D2e5F8g1H4j7K0m3N6p",
    "secret": "the key that the provider gave you",
    "scopes": ["listings:read", "data:read"],
}
"""What a member of this name looks like in every shape: a word has one meaning in this house."""


def looks_like(**members: Any) -> Callable[[Shape], Shape]:
    """Declare what these members of a shape look like, as plain JSON values."""

    def declare(shape: Shape) -> Shape:
        _DECLARED[shape] = members
        return shape

    return declare


def example_of(kind: Any) -> Any:
    """A value of `kind` as plain JSON values: what is required in a request, all of an answer."""
    return _example(inspect.type_info(kind), "")


def _example(kind: inspect.Type, name: str) -> Any:
    if isinstance(kind, inspect.Metadata):
        stated = (kind.extra_json_schema or {}).get("examples")
        return stated[0] if stated else _example(kind.type, name)
    if isinstance(kind, inspect.UnionType):
        return _of_union(kind, name)
    if isinstance(kind, inspect.StructType):
        return dict(_members(kind))
    if name in WORDS:
        return WORDS[name]
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return [_example(kind.item_type, name)]
    return _plain(kind)


def _plain(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.BoolType):
        return True
    if isinstance(kind, inspect.IntType):
        return max(1, kind.ge or 1)
    if isinstance(kind, inspect.DateTimeType):
        return MOMENT
    if isinstance(kind, inspect.DateType):
        return DAY
    return {} if isinstance(kind, inspect.DictType) else UNKNOWN


def _of_union(kind: inspect.UnionType, name: str) -> Any:
    """The first alternative; a value that may be missing is, unless its name says what it is."""
    kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
    told = name in WORDS or isinstance(kinds[0], inspect.StructType | inspect.ListType)
    if len(kinds) < len(kind.types) and not told and name:
        return None
    return _example(kinds[0], name)


def _members(kind: inspect.StructType) -> Iterator[tuple[str, Any]]:
    declared: dict[str, Any] = {}
    shapes = getattr(kind.cls, "__origin__", kind.cls).__mro__
    for shape in reversed(shapes):
        declared |= _DECLARED.get(shape, {})
    if kind.tag_field is not None:
        yield kind.tag_field, kind.tag
    for field in kind.fields:
        if field.name in declared:
            yield field.encode_name, declared[field.name]
        elif field.required:
            yield field.encode_name, _example(field.type, field.name)
        elif not kind.forbid_unknown_fields:
            yield from _left_out(field)


def _left_out(field: inspect.Field) -> Iterator[tuple[str, Any]]:
    """What stands for a member that was not given; nothing for one that is then not sent."""
    if field.default_factory is not NODEFAULT:
        yield field.encode_name, msgspec.to_builtins(field.default_factory())
    elif field.default is not NODEFAULT:
        yield field.encode_name, msgspec.to_builtins(field.default)
