"""Every field that domain.md requires of a listing is asked for by its name, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.listings.examples import EVIDENCE, REQUIRED
from tests.listings.shop import API, Shop, good, refused

GOVERNMENT = {
    "public_data_kind": "authorised",
    "registration_no": "1",
    "resource_class": "1",
    "resource_code": "1",
}
DATA_SERVICE = {
    "form": "API",
    "api_in": [{"name": "q"}],
    "api_out": [{"name": "a"}],
    "tech_doc": EVIDENCE,
}
# Fields that are required once another field says so.
CONDITIONAL = [
    ("resource_class", GOVERNMENT),
    ("resource_code", GOVERNMENT),
    ("registration_no", GOVERNMENT),
    ("parent_products", {"source_mode": "TRADED", "parent_products": ["ZG1"]}),
    ("open_condition", {"open_type": "CONDITIONAL", "open_condition": "实名"}),
    ("api_in", DATA_SERVICE),
    ("api_out", DATA_SERVICE),
    ("tech_doc", DATA_SERVICE),
    ("risk_assessment_ref", {"data_level": "IMPORTANT", "risk_assessment_ref": EVIDENCE}),
    ("anonymisation_report", {"pi_class": "ANONYMISED", "anonymisation_report": EVIDENCE}),
    ("pia_ref", {"pi_class": "PERSONAL", "pia_ref": EVIDENCE, "consent_ref": EVIDENCE}),
    ("consent_ref", {"pi_class": "PERSONAL", "pia_ref": EVIDENCE, "consent_ref": EVIDENCE}),
]


def missing_after_taking_away(shop: Shop, listing_id: str, field: str) -> list[str]:
    """The gates that refuse a listing once `field` is taken away; the field is put back."""
    path = f"{API}/{listing_id}"
    kept = shop.see(listing_id)["metadata"][field]
    good(shop.provider.patch(path, json={"metadata": {field: None}}))
    problem = refused(shop.step(shop.provider, listing_id, "submit"), 422, "listing-gates-failed")
    good(shop.provider.patch(path, json={"metadata": {field: kept}}))
    for gate in problem["gates"]:
        assert gate["gate"] in gate["reason"]
        assert gate["basis"]
    return [gate["gate"] for gate in problem["gates"]]


def test_each_required_field_is_named_when_it_is_missing(shop: Shop) -> None:
    listing_id = shop.filled()
    for field in REQUIRED:
        assert missing_after_taking_away(shop, listing_id, field) == [field]
    assert shop.see(listing_id)["state"] == "DRAFT"
    assert good(shop.step(shop.provider, listing_id, "submit"))["state"] == "SUBMITTED"


@pytest.mark.parametrize(("field", "facts"), CONDITIONAL, ids=lambda value: str(value)[:20])
def test_a_field_that_another_makes_necessary_is_named(
    shop: Shop, field: str, facts: dict[str, Any]
) -> None:
    listing_id = shop.filled(**facts)
    assert missing_after_taking_away(shop, listing_id, field) == [field]
    assert good(shop.step(shop.provider, listing_id, "submit"))["state"] == "SUBMITTED"


def test_what_is_read_off_the_data_and_the_offer_is_asked_for_by_name(shop: Shop) -> None:
    listing_id = shop.draft()
    problem = refused(shop.step(shop.provider, listing_id, "submit"), 422, "listing-gates-failed")
    assert [gate["gate"] for gate in problem["gates"]] == [
        "schema",
        "row_count",
        "size_bytes",
        "sample_ref",
        "pricing",
        "licence",
    ]
