"""Fsck's A1 of listings: what is on sale, and after whose review, cannot change unnoticed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.listings.checking import problems
from tests.breaking import missed
from tests.conftest import Caller
from tests.listings.examples import per_unit_plan
from tests.listings.shop import API, Shop, good

LATER = "'2026-12-24T00:00:00.000000Z'"
REJECTED = "(SELECT version_id FROM listing_review WHERE decision = 'reject')"
BREAKS = {
    "a listing without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'listing:created'",
        "was begun without a leaf",
    ),
    "a listing that was rejected and is a draft again": (
        "UPDATE listing SET state = 'DRAFT' WHERE state = 'REJECTED'",
        "is DRAFT, the log says REJECTED",
    ),
    "a listing that is on sale again": (
        "UPDATE listing SET state = 'LISTED', suspended_by = NULL WHERE state = 'SUSPENDED'",
        "is LISTED, the log says SUSPENDED",
    ),
    "a listing that another side has suspended": (
        "UPDATE listing SET suspended_by = 'provider' WHERE state = 'SUSPENDED'",
        "does not stand where the log says",
    ),
    "a new version that nobody opened": (
        "UPDATE listing SET revision_state = 'DRAFT' WHERE state = 'SUSPENDED'",
        "does not stand where the log says",
    ),
    "a listing with another version on sale": (
        f"UPDATE listing SET version_id = {REJECTED} WHERE state = 'SUSPENDED'",
        "has another version on sale than was approved",
    ),
    "a listing that moved at another moment": (
        f"UPDATE listing SET moved_at = {LATER} WHERE state = 'DELISTED'",
        "did not move when the log says",
    ),
    "a version without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'listing:submitted'",
        "was submitted without a leaf",
    ),
    "a version of other contents": (
        "UPDATE listing_version SET content_hash = 'x'",
        "was submitted without a leaf",
    ),
    "a review of another opinion": (
        "UPDATE listing_review SET decision = 'approve' WHERE decision = 'reject'",
        "was reviewed without a leaf",
    ),
    "a review for another reason": (
        "UPDATE listing_review SET reason = 'x' WHERE decision = 'reject'",
        "was reviewed without a leaf",
    ),
    "a review that is gone": (
        "DELETE FROM listing_review WHERE decision = 'reject'",
        "A1: the review of version 1 of lst_",
    ),
    "a version that went on sale without a review": (
        f"UPDATE listing_version SET listed_at = {LATER} WHERE id = {REJECTED}",
        "went on sale without a review",
    ),
    "a plan without a leaf": (
        "DELETE FROM audit_leaf WHERE kind = 'plan:offered'",
        "was not offered as the log says",
    ),
    "a plan at another price": (
        "UPDATE plan SET document = '{}' WHERE retired_at IS NULL",
        "was not offered as the log says",
    ),
    "a plan that is offered again": (
        "UPDATE plan SET retired_at = NULL WHERE name = 'other'",
        "was not retired as the log says",
    ),
    "a plan that was replaced at another moment": (
        f"UPDATE plan SET retired_at = {LATER} WHERE number = 1 AND retired_at IS NOT NULL",
        "was not retired as the log says",
    ),
}


@pytest.fixture
def stalls(shop: Shop, clock: SetClock) -> Installation:
    """Listings in each state, plans that were retired and replaced, a second version."""

    def step(caller: Caller, listing_id: str, verb: str, **body: str) -> None:
        clock.advance(timedelta(seconds=1))
        good(shop.step(caller, listing_id, verb, **body))

    shop.draft("draft")
    rejected, corrected, suspended, renewed, over = (
        shop.filled(slug) for slug in ("rejected", "corrected", "suspended", "renewed", "over")
    )
    why = {"reason": "说明不全", "basis": "GB/T 38667"}
    for listing_id, decision in ((rejected, "reject"), (corrected, "correct")):
        step(shop.provider, listing_id, "submit")
        step(shop.reviewer, listing_id, "review", decision=decision, **why)
    for listing_id in (suspended, renewed, over):
        step(shop.provider, listing_id, "submit")
        step(shop.reviewer, listing_id, "review", decision="approve")
    step(shop.reviewer, suspended, "suspend", reason="核查")
    step(shop.reviewer, suspended, "resume")
    step(shop.reviewer, suspended, "suspend", reason="再核查")
    step(shop.provider, renewed, "new-version")
    step(shop.provider, renewed, "submit")
    step(shop.provider, over, "delist", reason="不再提供")
    clock.advance(timedelta(seconds=1))
    good(shop.provider.post(f"{API}/{renewed}/plans", json=per_unit_plan()))
    other = good(shop.provider.post(f"{API}/{renewed}/plans", json=per_unit_plan(name="other")))
    clock.advance(timedelta(seconds=1))
    good(shop.provider.post(f"{API}/{renewed}/plans/{other['id']}/retire"))
    return shop.installation


def test_listings_that_were_only_used_have_no_problems(stalls: Installation) -> None:
    with stalls.snapshot(OPERATOR) as session:
        assert list(problems(session)) == []


def test_a_row_behind_the_logs_back_is_named(stalls: Installation) -> None:
    assert missed(stalls, problems, BREAKS) == {}
