"""Samples: a public page shows rows, but nothing that is sensitive or names a person."""

from __future__ import annotations

from typing import Any

import pytest

from app.listings.samples import licensed_rows, masked_names, masked_rows
from tests.listings.examples import licence_terms, per_unit_plan
from tests.listings.shop import API, Shop, good, refused

PEOPLE = (
    "name,phone,id_card,mail,note,age,salary\n"
    "张三,13800001234,50010819900101123X,zhang@example.com,电话13800001234请回,35,9000.5\n"
    ",,,,,,\n"
).encode()


def mask(value: Any) -> Any:
    (row,) = masked_rows([{"a": value}], ["a"], [])
    return row["a"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("13800001234", "***"),
        ("tel 13800001234, 19912345678", "tel ***, ***"),
        ("50010819900101123X", "***"),
        ("身份证50010819900101123x。", "身份证***。"),
        ("zhang.san+x@mail.example.com.cn", "***"),
        (13800001234, "***"),
        (500108199001011234, "***"),
        ("113800001234", "113800001234"),
        ("138000012345", "138000012345"),
        (138000012345, 138000012345),
        ("12800001234", "12800001234"),
        ("a@b", "a@b"),
        ("", ""),
        (None, None),
        (True, True),
        (14.7, 14.7),
        (2020, 2020),
        ("中国", "中国"),
    ],
)
def test_what_names_a_person_is_masked_wherever_it_stands(value: Any, shown: Any) -> None:
    assert mask(value) == shown


def test_sensitive_columns_are_masked_whatever_they_hold_and_absent_values_stay_absent() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"b": "y"}]
    assert masked_rows(rows, ["a", "b"], ["a"]) == [
        {"a": "***", "b": "x"},
        {"a": None, "b": None},
        {"a": None, "b": "y"},
    ]
    assert masked_rows(rows, ["b"], []) == [{"b": "x"}, {"b": None}, {"b": "y"}]


def test_with_personal_data_every_text_is_masked() -> None:
    columns = [
        {"name": "name", "type": "VARCHAR"},
        {"name": "key", "type": "UUID"},
        {"name": "photo", "type": "BLOB"},
        {"name": "age", "type": "BIGINT"},
        {"name": "salary", "type": "DOUBLE"},
    ]
    fields = [{"name": "salary", "sensitive": True}, {"name": "age", "sensitive": False}]
    assert masked_names(columns, fields, personal=False) == ["salary"]
    assert masked_names(columns, fields, personal=True) == ["name", "key", "photo", "salary"]


def on_sale(shop: Shop, licence: dict[str, Any], slug: str = "people", **metadata: Any) -> str:
    listing_id = shop.draft(slug, **metadata)
    good(shop.upload(listing_id, PEOPLE))
    good(shop.provider.put(f"{API}/{listing_id}/licence", json=licence))
    good(shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan()))
    shop.approve(listing_id)
    return listing_id


def test_a_visitor_sees_masked_rows_of_the_columns_that_the_licence_shows(shop: Shop) -> None:
    fields = [{"name": "salary", "sensitive": True}]
    licence = licence_terms(columns=["salary", "note", "age", "phone"])
    listing_id = on_sale(shop, licence, schema=fields)
    sample = good(shop.anonymous.get(f"{API}/{listing_id}/sample"))
    assert [column["name"] for column in sample["columns"]] == ["phone", "note", "age", "salary"]
    assert sample["masked"] == ["salary"]
    first, second = sample["rows"]
    assert first == {"phone": "***", "note": "电话***请回", "age": 35, "salary": "***"}
    assert second == {"phone": None, "note": None, "age": None, "salary": None}
    assert good(shop.provider.get(f"{API}/{listing_id}/sample")) == sample


def test_a_visitor_sees_only_rows_that_the_licence_shows(shop: Shop) -> None:
    for slug, condition, ages in (
        ("all", "age = 35 or age is null", [35, None]),
        ("old", "age >= 35", [35]),
        ("none", "age > 35 and name = '张三'", []),
    ):
        listing_id = on_sale(shop, licence_terms(rows=condition), slug=slug)
        sample = good(shop.anonymous.get(f"{API}/{listing_id}/sample"))
        assert [row["age"] for row in sample["rows"]] == ages


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("t != 'x'", ["whole"]),
        ("not t = 'x'", ["whole"]),
        ("t is not null", ["whole"]),
        ("t like '%whole' or n = 1", ["whole"]),
        ("n = 1", ["whole", "cut…"]),
        ("m > 0.5", []),
        ("n > 'soon'", []),
    ],
)
def test_a_row_that_cannot_be_judged_is_not_shown(condition: str, kept: list[str]) -> None:
    columns = [
        {"name": "t", "type": "VARCHAR"},
        {"name": "n", "type": "BIGINT"},
        {"name": "m", "type": "DECIMAL(9,2)"},
    ]
    rows = [{"t": "whole", "n": 1, "m": "odd"}, {"t": "cut…", "n": 1, "m": None}]
    assert [row["t"] for row in licensed_rows(rows, condition, columns)] == kept


def test_a_sample_of_what_is_not_on_sale_is_the_providers_and_the_alliances(shop: Shop) -> None:
    listing_id = shop.draft("people")
    path = f"{API}/{listing_id}/sample"
    refused(shop.provider.get(path), 409, "no-sample")
    good(shop.upload(listing_id, PEOPLE))
    shown = good(shop.provider.get(path))
    assert shown["rows"][0]["name"] == "张三"
    assert shown["rows"][0]["mail"] == shown["rows"][0]["id_card"] == "***"
    assert good(shop.reviewer.get(path)) == shown
    for stranger in (shop.anonymous, shop.rival):
        refused(stranger.get(path), 404, "not-found")
