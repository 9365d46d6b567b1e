"""Publishing over HTTP: gates, review by others, what is on sale, new versions."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from app.kernel.actor import OPERATOR
from app.listings.models import ListingVersion
from tests.listings.examples import licence_terms, per_unit_plan, price, qualification
from tests.listings.shop import API, Shop, good, refused

REASONED = {"reason": "来源证明不完整", "basis": "数据安全法 第三十三条"}


def version_rows(shop: Shop) -> list[ListingVersion]:
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        return list(session.exec(select(ListingVersion).order_by(ListingVersion.number)))


def test_what_is_missing_comes_back_at_once_and_by_name(shop: Shop) -> None:
    listing_id = shop.draft(abstract=None, scene=None)
    problem = refused(shop.step(shop.provider, listing_id, "submit"), 422, "listing-gates-failed")
    gates = {entry["gate"]: entry for entry in problem["gates"]}
    assert list(gates) == [
        "abstract",
        "scene",
        "schema",
        "row_count",
        "size_bytes",
        "sample_ref",
        "pricing",
        "licence",
    ]
    assert "abstract" in gates["abstract"]["reason"]
    assert gates["licence"]["basis"].startswith("数据安全法")
    assert shop.see(listing_id)["state"] == "DRAFT"
    assert version_rows(shop) == []


def test_a_listing_goes_from_draft_to_the_public_list(shop: Shop) -> None:
    listing_id = shop.filled()
    submitted = good(shop.step(shop.provider, listing_id, "submit"))
    assert submitted["state"] == "SUBMITTED"
    assert submitted["version"]["number"] == 1
    refused(shop.anonymous.get(f"{API}/{listing_id}"), 404, "not-found")
    waiting = good(shop.reviewer.get(f"{API}/submitted"))["items"]
    assert [item["id"] for item in waiting] == [listing_id]
    approved = good(shop.step(shop.reviewer, listing_id, "review", decision="approve"))
    assert approved["state"] == "LISTED"
    public = shop.see(listing_id, shop.anonymous)
    assert public["state"] == "LISTED"
    assert public["version"]["id"] == submitted["version"]["id"]
    assert public["version"]["content_hash"] == submitted["version"]["content_hash"]
    metadata = public["metadata"]
    assert metadata["publish_date"] == "2026-11-02"
    assert metadata["version"] == 1
    assert metadata["row_count"] == 2
    assert metadata["provider_code"].startswith("91500108MA5U")
    assert metadata["contact"] == {
        "name": "张三",
        "phone": "138******34",
        "email": "z***@example.com",
    }
    assert (public["upstream"], public["reviews"], public["revision_state"]) == (None, [], None)
    assert [item["id"] for item in good(shop.anonymous.get(API))["items"]] == [listing_id]
    assert shop.leaves(listing_id) == [
        "listing:created",
        "listing:file_uploaded",
        "listing:licence_set",
        "listing:submitted",
        "listing:reviewed",
    ]


def test_what_is_submitted_is_not_edited_any_more(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    path = f"{API}/{listing_id}"
    for answer in (
        shop.provider.patch(path, json={"metadata": {"space": "x"}}),
        shop.provider.put(f"{path}/licence", json=licence_terms()),
        shop.upload(listing_id),
        shop.step(shop.provider, listing_id, "submit"),
    ):
        assert refused(answer, 409, "step-not-allowed")["state"] == "SUBMITTED"


def test_a_correction_is_edited_and_submitted_again(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    sent_back = good(shop.step(shop.reviewer, listing_id, "review", decision="correct", **REASONED))
    assert sent_back["state"] == "CORRECTION"
    assert sent_back["reviews"][0]["reason"] == REASONED["reason"]
    change = {"metadata": {"source_statement": "补充"}}
    good(shop.provider.patch(f"{API}/{listing_id}", json=change))
    again = good(shop.step(shop.provider, listing_id, "submit"))
    assert again["version"]["number"] == 2
    good(shop.step(shop.reviewer, listing_id, "review", decision="approve"))
    first, second = version_rows(shop)
    assert first.listed_at is None
    assert second.listed_at is not None
    assert first.content_hash != second.content_hash
    assert second.document["source_statement"] == "补充"
    public = good(shop.anonymous.get(f"{API}/{listing_id}/versions"))["items"]
    own = good(shop.provider.get(f"{API}/{listing_id}/versions"))["items"]
    assert [item["number"] for item in public] == [2]
    assert [item["number"] for item in own] == [2, 1]


def test_a_reviewer_approves_what_they_have_read_and_nothing_handed_in_since(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    path = f"{API}/{listing_id}"
    read = shop.reviewer.get(path).headers["etag"]
    good(shop.step(shop.reviewer, listing_id, "review", decision="correct", reason="r", basis="b"))
    good(shop.provider.patch(path, json={"metadata": {"title": "unseen"}}))
    good(shop.step(shop.provider, listing_id, "submit"))
    body = {"decision": "approve"}
    answer = shop.reviewer.post(f"{path}/review", json=body, headers={"If-Match": read})
    refused(answer, 412, "edit-conflict")
    fresh = {"If-Match": shop.reviewer.get(path).headers["etag"]}
    good(shop.reviewer.post(f"{path}/review", json=body, headers=fresh))


def test_a_rejection_is_final(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    over = good(shop.step(shop.reviewer, listing_id, "review", decision="reject", **REASONED))
    assert over["state"] == "REJECTED"
    refused(shop.step(shop.provider, listing_id, "submit"), 409, "step-not-allowed")
    refused(shop.step(shop.provider, listing_id, "new-version"), 409, "step-not-allowed")
    plan = shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan(name="other"))
    refused(plan, 409, "step-not-allowed")


def test_a_review_is_the_alliances_and_never_of_ones_own(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    own = shop.api.as_client(shop.provider_id, "listings:write", roles=["reviewer"])
    refused(shop.step(own, listing_id, "review", decision="approve"), 403, "own-review")
    for who in (shop.provider, shop.rival, shop.auditor):
        answer = shop.step(who, listing_id, "review", decision="approve")
        refused(answer, 403, "not-allowed")
    assert shop.see(listing_id)["state"] == "SUBMITTED"


@pytest.mark.parametrize("decision", ["reject", "correct"])
@pytest.mark.parametrize(
    "body", [{}, {"reason": "x"}, {"basis": "y"}, {"reason": " ", "basis": "y"}]
)
def test_a_no_says_why_and_on_what_basis(shop: Shop, decision: str, body: dict[str, str]) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    answer = shop.step(shop.reviewer, listing_id, "review", decision=decision, **body)
    refused(answer, 422, "review-incomplete")


def test_only_what_waits_is_reviewed(shop: Shop) -> None:
    listing_id = shop.filled()
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    assert refused(answer, 409, "step-not-allowed")["state"] == "DRAFT"
    shop.approve(listing_id)
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    assert refused(answer, 409, "step-not-allowed")["state"] == "LISTED"
    answer = shop.step(shop.reviewer, listing_id, "review", decision="maybe")
    refused(answer, 400, "malformed")


def test_an_unverified_provider_publishes_nothing(shop: Shop) -> None:
    listing_id = shop.filled()
    shop.lapse(shop.provider_id)
    answer = shop.step(shop.provider, listing_id, "submit")
    assert refused(answer, 422, "organisation-not-verified")["verification_state"] == "EXPIRED"


def test_approval_looks_again_at_what_may_have_changed(shop: Shop) -> None:
    listing_id = shop.filled()
    good(shop.step(shop.provider, listing_id, "submit"))
    plan_id = shop.see(listing_id)["plans"][0]["id"]
    good(shop.step(shop.provider, listing_id, f"plans/{plan_id}/retire"))
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    problem = refused(answer, 422, "listing-gates-failed")
    assert [entry["gate"] for entry in problem["gates"]] == ["pricing"]
    good(shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan()))
    shop.lapse(shop.provider_id)
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    refused(answer, 422, "organisation-not-verified")
    assert shop.see(listing_id)["state"] == "SUBMITTED"
    assert shop.see(listing_id)["reviews"] == []


def test_a_suspended_listing_is_not_public_until_it_is_resumed(shop: Shop) -> None:
    listing_id = shop.listed()
    suspended = good(shop.step(shop.provider, listing_id, "suspend", reason="维护"))
    assert (suspended["state"], suspended["suspended_by"]) == ("SUSPENDED", "provider")
    refused(shop.anonymous.get(f"{API}/{listing_id}"), 404, "not-found")
    assert good(shop.anonymous.get(API))["items"] == []
    refused(shop.step(shop.provider, listing_id, "suspend", reason="x"), 409, "step-not-allowed")
    refused(shop.step(shop.reviewer, listing_id, "resume"), 403, "not-allowed")
    refused(shop.step(shop.rival, listing_id, "resume"), 404, "not-found")
    assert good(shop.step(shop.provider, listing_id, "resume"))["state"] == "LISTED"
    assert shop.see(listing_id, shop.anonymous)["version"]["number"] == 1
    refused(shop.step(shop.provider, listing_id, "resume"), 409, "step-not-allowed")


def test_the_alliances_suspension_stands_over_the_providers(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "suspend", reason="x"))
    taken = good(shop.step(shop.reviewer, listing_id, "suspend", reason="投诉"))
    assert taken["suspended_by"] == "alliance"
    refused(shop.step(shop.provider, listing_id, "resume"), 403, "not-allowed")
    refused(shop.step(shop.auditor, listing_id, "resume"), 403, "not-allowed")
    refused(shop.step(shop.provider, listing_id, "suspend", reason="x"), 409, "step-not-allowed")
    assert good(shop.step(shop.reviewer, listing_id, "resume"))["state"] == "LISTED"
    refused(shop.step(shop.auditor, listing_id, "suspend", reason="x"), 403, "not-allowed")
    refused(shop.step(shop.rival, listing_id, "suspend", reason="x"), 404, "not-found")


def test_nothing_is_resumed_for_an_unverified_provider(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "suspend", reason="x"))
    shop.lapse(shop.provider_id)
    answer = shop.step(shop.provider, listing_id, "resume")
    refused(answer, 422, "organisation-not-verified")


@pytest.mark.parametrize("who", ["provider", "reviewer"])
def test_delisting_is_final(shop: Shop, who: str) -> None:
    listing_id = shop.listed()
    gone = good(shop.step(getattr(shop, who), listing_id, "delist", reason="停止提供"))
    assert gone["state"] == "DELISTED"
    refused(shop.anonymous.get(f"{API}/{listing_id}"), 404, "not-found")
    for verb, body in (("resume", {}), ("delist", {"reason": "x"}), ("new-version", {})):
        refused(shop.step(shop.provider, listing_id, verb, **body), 409, "step-not-allowed")
    refused(shop.step(shop.provider, listing_id, "submit"), 409, "step-not-allowed")
    assert shop.provider.post(API, json={"slug": "world-gdp"}).status_code == 409


@pytest.mark.parametrize("verb", ["suspend", "delist"])
def test_taking_off_sale_says_why(shop: Shop, verb: str) -> None:
    listing_id = shop.listed()
    for body in (b"{}", b'{"reason": ""}', b'{"reason": 5}', b""):
        answer = shop.provider.post(
            f"{API}/{listing_id}/{verb}",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        refused(answer, 400, "malformed")


# New versions


def test_a_new_version_leaves_the_old_on_sale_until_it_is_approved(shop: Shop) -> None:
    listing_id = shop.listed()
    path = f"{API}/{listing_id}"
    answer = shop.provider.patch(path, json={"metadata": {"space": "新"}})
    refused(answer, 409, "new-version-needed")
    refused(shop.upload(listing_id), 409, "new-version-needed")
    refused(shop.step(shop.provider, listing_id, "submit"), 409, "new-version-needed")
    opened = good(shop.step(shop.provider, listing_id, "new-version"))
    assert (opened["state"], opened["revision_state"]) == ("LISTED", "DRAFT")
    refused(shop.step(shop.provider, listing_id, "new-version"), 409, "step-not-allowed")
    good(shop.provider.patch(path, json={"metadata": {"title": "新标题"}}))
    good(shop.upload(listing_id, b"x\n1\n2\n3\n"))
    good(shop.step(shop.provider, listing_id, "submit"))
    before = shop.see(listing_id, shop.anonymous)
    assert (before["version"]["number"], before["metadata"]["row_count"]) == (1, 2)
    assert before["metadata"]["title"] != "新标题"
    assert before["file"]["row_count"] == 2
    waiting = good(shop.reviewer.get(f"{API}/submitted"))["items"]
    assert [item["revision_state"] for item in waiting] == ["SUBMITTED"]
    done = good(shop.step(shop.reviewer, listing_id, "review", decision="approve"))
    assert (done["state"], done["revision_state"]) == ("LISTED", None)
    after = shop.see(listing_id, shop.anonymous)
    assert (after["version"]["number"], after["metadata"]["row_count"]) == (2, 3)
    card = good(shop.anonymous.get(API))["items"][0]
    assert (card["title"], card["row_count"]) == ("新标题", 3)


def test_the_slug_and_the_delivery_of_what_was_on_sale_stay(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "new-version"))
    for change in ({"slug": "other"}, {"delivery": "file"}):
        answer = shop.provider.patch(f"{API}/{listing_id}", json=change)
        refused(answer, 409, "step-not-allowed")


def test_a_rejected_version_may_be_followed_by_another(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "new-version"))
    good(shop.step(shop.provider, listing_id, "submit"))
    answer = shop.step(shop.reviewer, listing_id, "review", decision="reject", **REASONED)
    assert (good(answer)["state"], good(answer)["revision_state"]) == ("LISTED", "REJECTED")
    assert shop.see(listing_id, shop.anonymous)["version"]["number"] == 1
    good(shop.step(shop.provider, listing_id, "new-version"))
    shop.approve(listing_id)
    assert shop.see(listing_id, shop.anonymous)["version"]["number"] == 3


def test_a_version_approved_while_suspended_stays_off_sale(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "suspend", reason="x"))
    good(shop.step(shop.provider, listing_id, "new-version"))
    shop.approve(listing_id)
    seen = shop.see(listing_id)
    assert (seen["state"], seen["version"]["number"]) == ("SUSPENDED", 2)
    refused(shop.anonymous.get(f"{API}/{listing_id}"), 404, "not-found")
    good(shop.step(shop.provider, listing_id, "resume"))
    assert shop.see(listing_id, shop.anonymous)["version"]["number"] == 2


def test_delisting_ends_a_new_version_under_way(shop: Shop) -> None:
    listing_id = shop.listed()
    good(shop.step(shop.provider, listing_id, "new-version"))
    good(shop.step(shop.provider, listing_id, "submit"))
    gone = good(shop.step(shop.reviewer, listing_id, "delist", reason="x"))
    assert (gone["state"], gone["revision_state"]) == ("DELISTED", None)
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    refused(answer, 409, "step-not-allowed")


def test_a_frozen_version_is_the_same_whatever_happens_to_the_working_copy(shop: Shop) -> None:
    listing_id = shop.listed()
    before = version_rows(shop)[0]
    good(shop.step(shop.provider, listing_id, "new-version"))
    change = {"metadata": {"title": "另一个", "keywords": ["x"]}}
    good(shop.provider.patch(f"{API}/{listing_id}", json=change))
    good(shop.provider.put(f"{API}/{listing_id}/licence", json=licence_terms(count=1)))
    after = version_rows(shop)[0]
    assert after.model_dump() == before.model_dump()
    terms = good(shop.anonymous.get(f"{API}/{listing_id}/licence"))["terms"]
    assert terms["count"] is None


def test_the_hash_covers_what_is_sold(shop: Shop) -> None:
    hashes = set()
    listing_id = shop.listed()
    changes: list[Any] = [
        lambda: shop.provider.patch(f"{API}/{listing_id}", json={"metadata": {"space": "x"}}),
        lambda: shop.provider.put(f"{API}/{listing_id}/licence", json=licence_terms(count=9)),
        lambda: shop.upload(listing_id, b"x\n1\n"),
    ]
    for change in changes:
        good(shop.step(shop.provider, listing_id, "new-version"))
        good(change())
        shop.approve(listing_id)
    hashes = {version.content_hash for version in version_rows(shop)}
    assert len(hashes) == 4


def test_open_government_data_is_listed_free_of_charge_only(shop: Shop) -> None:
    open_data = {
        "public_data_kind": "open",
        "open_type": "UNCONDITIONAL",
        "registration_no": "1",
        "resource_class": "1",
        "resource_code": "1",
    }
    listing_id = shop.draft(**open_data)
    plans = f"{API}/{listing_id}/plans"
    refused(shop.provider.post(plans, json=per_unit_plan()), 422, "open-data-is-free")
    sneaky = per_unit_plan(
        charges=[
            {"model": "free"},
            {"model": "minimum", "amount": {"amount_minor": 1, "currency": "CNY"}},
        ]
    )
    refused(shop.provider.post(plans, json=sneaky), 422, "open-data-is-free")
    good(shop.provider.post(plans, json=per_unit_plan(charges=[{"model": "free"}])))
    good(shop.upload(listing_id))
    good(shop.provider.put(f"{API}/{listing_id}/licence", json=licence_terms()))
    shop.approve(listing_id)
    refused(shop.provider.post(plans, json=per_unit_plan()), 422, "open-data-is-free")
    zero = per_unit_plan(charges=[{"model": "per_unit", "unit_price": price("0.00")}])
    good(shop.provider.post(plans, json=zero))


def test_a_certificate_that_lapsed_before_approval_is_noticed(shop: Shop) -> None:
    listing_id = shop.filled(
        qualifications=[
            qualification("COMPLIANCE", valid_to="2026-11-02"),
            qualification("COMMITMENT"),
        ]
    )
    good(shop.step(shop.provider, listing_id, "submit"))
    clock = shop.installation.clock
    clock.set_to(clock.now().replace(day=3))  # type: ignore[attr-defined]  # a set clock
    answer = shop.step(shop.reviewer, listing_id, "review", decision="approve")
    problem = refused(answer, 422, "listing-gates-failed")
    assert [entry["gate"] for entry in problem["gates"]] == ["qualifications"]
