"""Metadata: read strictly, kept without floats, edited field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.kernel.canonical import canonical
from app.listings.errors import FieldMalformed
from app.listings.metadata import (
    AUTO,
    Contact,
    Metadata,
    masked_contact,
    merged,
    metadata_document,
    metadata_from,
)
from tests.listings.examples import complete_metadata


def test_complete_metadata_survives_its_document_and_can_be_hashed() -> None:
    metadata = metadata_from(complete_metadata())
    document = metadata_document(metadata)
    assert metadata_from(json.loads(json.dumps(document))) == metadata
    canonical(document)


def test_a_draft_may_be_empty() -> None:
    assert metadata_document(metadata_from({})) == {}


BAD: list[dict[str, Any]] = [
    {"title": ""},
    {"title": "x" * 121},
    {"title": "two\nlines"},
    {"title": "last\n"},
    {"title": 5},
    {"object_type": "data_product"},
    {"keywords": "GDP"},
    {"scene": ["MOON"]},
    {"last_update": "2026-01-05T00:00:00"},
    {"time_from": "2026-13-01"},
    {"quality": {"completeness": 0.98}},
    {"quality": {"completeness": "1.1"}},
    {"rights_evidence": [{"name": "x", "sha256": "AB" * 32}]},
    {"rights_evidence": [{"name": "x", "sha256": "ab" * 32 + "\n"}]},
    {"pi_sensitive": "false"},
    {"contact": {"name": "x", "phone": "call me"}},
    {"contact": {"name": "x", "email": "nobody"}},
    {"schema": [{"name": "a", "colour": "red"}]},
    {"unknown": 1},
    *({name: "1"} for name in AUTO),
]


@pytest.mark.parametrize("fields", BAD, ids=lambda value: json.dumps(value)[:60])
def test_a_field_that_cannot_be_read_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(FieldMalformed) as refused:
        metadata_from(fields)
    assert str(refused.value.facts["path"]).startswith(".metadata")


def test_an_edit_replaces_whole_fields_and_null_takes_one_away() -> None:
    before = {"title": "a", "keywords": ["x", "y"], "abstract": "b"}
    after = merged(before, {"keywords": ["z"], "abstract": None})
    assert after == {"title": "a", "keywords": ["z"]}
    assert before["abstract"] == "b"


def test_the_public_sees_who_but_not_how_to_flood_them() -> None:
    contact = Contact(name="张三", phone="13800001234", email="zhang@example.com")
    shown = masked_contact(contact)
    assert shown == Contact(name="张三", phone="138******34", email="z***@example.com")
    assert masked_contact(Contact(name="x")) == Contact(name="x")


def test_what_the_house_fills_cannot_be_stated() -> None:
    assert not set(AUTO) & set(Metadata.__struct_fields__)
