"""Drafting over HTTP: strict bodies, own drafts only, entity tags, slugs."""

from __future__ import annotations

from typing import Any

import pytest

from app.listings.products import is_product_id
from tests.listings.examples import complete_metadata, licence_terms
from tests.listings.shop import API, Shop, good, refused

BODY = {"slug": "world-gdp", "delivery": "hosted"}


def test_a_draft_begins_with_what_is_known(shop: Shop) -> None:
    answer = shop.provider.post(API, json={**BODY, "metadata": {"title": "国内生产总值"}})
    made = good(answer)
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert (made["state"], made["revision_state"], made["version"]) == ("DRAFT", None, None)
    assert made["provider_id"] == shop.provider_id
    assert made["metadata"]["title"] == "国内生产总值"
    assert is_product_id(made["product_id"])
    assert made["product_id"].startswith("ZG20261102000001")
    assert shop.leaves(made["id"]) == ["listing:created"]


def test_product_numbers_of_a_day_go_on(shop: Shop) -> None:
    numbers = [shop.see(shop.draft(f"set-{n}"))["product_id"][10:16] for n in range(3)]
    assert numbers == ["000001", "000002", "000003"]


BAD_BODIES: list[dict[str, Any]] = [
    {},
    {"slug": "ab"},
    {"slug": "World-GDP"},
    {"slug": "world_gdp"},
    {"slug": "-world"},
    {"slug": "world--gdp"},
    {"slug": "world\n"},
    {"slug": "世界"},
    {"slug": "x" * 81},
    {"slug": 5},
    {"slug": "world-gdp", "delivery": "fax"},
    {"slug": "world-gdp", "state": "LISTED"},
    {"slug": "world-gdp", "provider_id": "org_x"},
    {"slug": "world-gdp", "metadata": []},
    {"slug": "world-gdp", "metadata": {"title": ""}},
    {"slug": "world-gdp", "metadata": {"title": "a\u202eb"}},
    {"slug": "world-gdp", "metadata": {"product_id": "ZG1"}},
    {"slug": "world-gdp", "metadata": {"quality": {"completeness": 0.5}}},
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda value: str(value)[:50])
def test_a_malformed_draft_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    refused(shop.provider.post(API, json=body), 400, "malformed")


def test_titles_are_kept_in_normal_form(shop: Shop) -> None:
    listing_id = shop.draft(title="Cafe\u0301")
    assert shop.see(listing_id)["metadata"]["title"] == "Café"


def test_a_slug_belongs_to_one_listing(shop: Shop) -> None:
    shop.draft()
    refused(shop.provider.post(API, json=BODY), 409, "slug-taken")
    refused(shop.rival.post(API, json=BODY), 409, "slug-taken")
    other = shop.draft("other-slug")
    refused(shop.provider.patch(f"{API}/{other}", json={"slug": "world-gdp"}), 409, "slug-taken")
    renamed = good(shop.provider.patch(f"{API}/{other}", json={"slug": "third-slug"}))
    assert renamed["slug"] == "third-slug"


def test_listing_takes_the_scope_and_a_token(shop: Shop) -> None:
    refused(shop.anonymous.post(API, json=BODY), 401, "not-signed-in")
    reader = shop.api.as_client(shop.provider_id, "listings:read", "data:read")
    refused(reader.post(API, json=BODY), 403, "not-allowed")


def test_an_edit_replaces_the_fields_that_are_sent(shop: Shop) -> None:
    listing_id = shop.draft()
    change = {"metadata": {"keywords": ["新"], "space": "全球", "cases": None}}
    answer = shop.provider.patch(f"{API}/{listing_id}", json=change)
    edited = good(answer)
    assert edited["metadata"]["keywords"] == ["新"]
    assert edited["metadata"]["space"] == "全球"
    assert edited["metadata"]["title"] == complete_metadata()["title"]
    assert answer.headers["etag"] == '"2"'
    gone = good(shop.provider.patch(f"{API}/{listing_id}", json={"metadata": {"space": None}}))
    assert "space" not in gone["metadata"]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"scene": ["MOON"]}},
        {"metadata": {"colour": "red"}},
        {"metadata": {"version": 7}},
        {"metadata": {"title": 1}},
        {"metadata": None},
        {"slug": None},
        {"state": "LISTED"},
    ],
)
def test_a_bad_edit_changes_nothing(shop: Shop, change: dict[str, Any]) -> None:
    listing_id = shop.draft()
    before = shop.see(listing_id)
    refused(shop.provider.patch(f"{API}/{listing_id}", json=change), 400, "malformed")
    assert shop.see(listing_id) == before


def test_of_two_edits_of_the_same_read_one_is_refused(shop: Shop) -> None:
    listing_id = shop.draft()
    etag = shop.provider.get(f"{API}/{listing_id}").headers["etag"]
    path, headers = f"{API}/{listing_id}", {"If-Match": etag}
    first = shop.provider.patch(path, json={"metadata": {"space": "a"}}, headers=headers)
    second = shop.provider.patch(path, json={"metadata": {"space": "b"}}, headers=headers)
    assert first.status_code == 200
    assert refused(second, 412, "edit-conflict")["etag"] == '"2"'
    licence = shop.provider.put(f"{path}/licence", json=licence_terms(), headers=headers)
    refused(licence, 412, "edit-conflict")


@pytest.mark.parametrize("method", ["patch", "put licence", "post plans", "post files", "submit"])
def test_a_foreign_draft_is_not_there(shop: Shop, method: str) -> None:
    listing_id = shop.draft()
    for who in (shop.rival, shop.reviewer):
        answer = {
            "patch": lambda w=who: w.patch(f"{API}/{listing_id}", json={}),
            "put licence": lambda w=who: w.put(f"{API}/{listing_id}/licence", json=licence_terms()),
            "post plans": lambda w=who: w.post(
                f"{API}/{listing_id}/plans", json={"name": "p", "charges": [{"model": "free"}]}
            ),
            "post files": lambda w=who: w.post(
                f"{API}/{listing_id}/files", content=b"a\n1\n", headers={"Content-Type": "text/csv"}
            ),
            "submit": lambda w=who: w.post(f"{API}/{listing_id}/submit"),
        }[method]()
        refused(answer, 404, "not-found")
    assert shop.leaves(listing_id) == ["listing:created"]


def test_drafts_are_seen_by_their_provider_and_the_alliance_only(shop: Shop) -> None:
    listing_id = shop.draft()
    for path in (listing_id, f"{listing_id}/plans", f"{listing_id}/versions"):
        for who in (shop.rival, shop.anonymous):
            refused(who.get(f"{API}/{path}"), 404, "not-found")
        for who in (shop.provider, shop.reviewer, shop.auditor):
            good(who.get(f"{API}/{path}"))
    own = good(shop.provider.get(f"{API}/own"))["items"]
    assert [item["id"] for item in own] == [listing_id]
    assert good(shop.rival.get(f"{API}/own"))["items"] == []
    assert good(shop.provider.get(f"{API}/own?state=LISTED"))["items"] == []
    assert good(shop.anonymous.get(API))["items"] == []
    refused(shop.rival.get(f"{API}/submitted"), 403, "not-allowed")
    refused(shop.anonymous.get(f"{API}/own"), 401, "not-signed-in")


@pytest.mark.parametrize("listing_id", ["lst_01k0000000000000000000000a", "x", "%00", "own%2Fx"])
def test_what_is_not_there_is_not_found(shop: Shop, listing_id: str) -> None:
    assert shop.provider.get(f"{API}/{listing_id}").status_code == 404


def test_a_licence_is_set_in_either_form_and_read_in_both(shop: Shop) -> None:
    listing_id = shop.draft()
    path = f"{API}/{listing_id}/licence"
    refused(shop.provider.get(path), 404, "not-found")
    terms = licence_terms(count=1000, ends_on="2026-12-31", duties=["attribute"])
    first = good(shop.provider.put(path, json=terms))
    assert first["terms"]["count"] == 1000
    assert first["odrl"]["assigner"] == shop.provider_id
    assert first["enforced_by_gateway"] == ["purpose", "count", "dateTime"]
    assert first["legal_only"] == ["permission:derive", "duty:attribute"]
    again = shop.provider.put(
        path, json=first["odrl"], headers={"Content-Type": "application/ld+json"}
    )
    assert good(again) == first
    assert good(shop.provider.get(path)) == first
    assert shop.leaves(listing_id)[-1] == "listing:licence_set"


@pytest.mark.parametrize(
    "document",
    [
        {"actions": ["use"], "count": -5},
        {"permission": [{"action": "play"}]},
        {"permission": [{"action": "use", "constraint": [{"leftOperand": "count"}]}]},
        {"@type": "Offer", "permission": [{"action": "use"}], "colour": "red"},
    ],
)
def test_a_licence_that_cannot_be_kept_is_refused(shop: Shop, document: dict[str, Any]) -> None:
    listing_id = shop.draft()
    answer = shop.provider.put(f"{API}/{listing_id}/licence", json=document)
    refused(answer, 422, "licence-refused")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"actions": ["dance"]},
        {"actions": ["use"], "count": "5"},
        {"actions": ["use"], "colour": "red"},
    ],
)
def test_a_licence_that_cannot_be_read_is_malformed(shop: Shop, document: dict[str, Any]) -> None:
    listing_id = shop.draft()
    answer = shop.provider.put(f"{API}/{listing_id}/licence", json=document)
    assert refused(answer, 400, "malformed")["detail"]
    assert shop.see(listing_id)["licence"] is None


@pytest.mark.parametrize("name", ["starts_on", "ends_on"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_licence_for_ever_leaves_its_end_out(shop: Shop, name: str, day: str) -> None:
    path = f"{API}/{shop.draft()}/licence"
    refused(shop.provider.put(path, json=licence_terms(**{name: day})), 422, "day-out-of-range")
    last = good(shop.provider.put(path, json=licence_terms(ends_on="9998-12-31")))
    assert good(shop.provider.put(path, json=last["odrl"]))["terms"]["ends_on"] == "9998-12-31"


def test_a_licence_body_is_an_object(shop: Shop) -> None:
    listing_id = shop.draft()
    for body in (b"[]", b"5", b'"x"', b"{", b""):
        answer = shop.provider.put(
            f"{API}/{listing_id}/licence",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        refused(answer, 400, "malformed")
