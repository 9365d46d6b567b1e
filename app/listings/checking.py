"""Do listings say what the log says of them? Invariant A1, read-only; names each broken row.

What is on sale, at which price and after whose review, cannot change behind the log's back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from app.audit.told import Tale, Told, lost_rows, with_tales
from app.kernel.canonical import canonical, sha256_hex
from app.listings.models import Listing, ListingReview, ListingVersion, PlanRow
from app.listings.states import DECIDED, Decision, ListingState, Side

MOVES = (
    "listing:submitted",
    "listing:reviewed",
    "listing:suspended",
    "listing:resumed",
    "listing:delisted",
)
STEPS = ("listing:created", "listing:version_opened", *MOVES)
PLAN_LEAVES = ("plan:offered", "plan:retired")


def problems(session: Session) -> Iterator[str]:
    """Listings, versions, reviews and plans that the log does not tell of, or tells otherwise."""
    yield from _listing_problems(session)
    yield from _version_problems(session)
    yield from _plan_problems(session)
    yield from lost_rows(session, "listing:created", Listing.id)
    yield from lost_rows(session, "plan:offered", PlanRow.id)


@dataclass(slots=True)
class _Life:
    """Where the leaves have brought a listing so far."""

    state: ListingState = ListingState.DRAFT
    revision: ListingState | None = None
    version_id: str | None = None
    suspended_by: Side | None = None

    def follow(self, told: Told) -> None:
        """Take the step that a leaf tells of."""
        match told.kind.partition(":")[2]:
            case "submitted":
                self._move_work(ListingState.SUBMITTED)
            case "reviewed":
                self._move_work(DECIDED[Decision(told.facts["decision"])])
                if told.facts["decision"] == Decision.APPROVE.value:
                    self.version_id = told.facts["version_id"]
            case "version_opened":
                self.revision = ListingState.DRAFT
            case "suspended":
                self.state, self.suspended_by = ListingState.SUSPENDED, Side(told.facts["side"])
            case "resumed":
                self.state, self.suspended_by = ListingState.LISTED, None
            case "delisted":
                self.state, self.suspended_by = ListingState.DELISTED, None
                self.revision = None

    def _move_work(self, there: ListingState) -> None:
        if self.revision is None:
            self.state = there
        else:
            self.revision = None if there is ListingState.LISTED else there


def _listing_problems(session: Session) -> Iterator[str]:
    rows = select(Listing).order_by(col(Listing.id))
    for listing, tale in with_tales(session, rows, STEPS, lambda row: row.id):
        name = f"listing {listing.id}"
        if not tale.has("listing:created", listing.created_at, product_id=listing.product_id):
            yield f"A1: {name} was begun without a leaf"
            continue
        life = _Life()
        for told in tale.told:
            life.follow(told)
        last = tale.last(*MOVES, "listing:created")
        if listing.state is not life.state:
            yield f"A1: {name} is {listing.state.value}, the log says {life.state.value}"
        elif (listing.revision_state, listing.suspended_by) != (life.revision, life.suspended_by):
            yield f"A1: {name} does not stand where the log says"
        elif listing.version_id != life.version_id:
            yield f"A1: {name} has another version on sale than was approved"
        elif last is None or listing.moved_at != last.at:
            yield f"A1: {name} did not move when the log says"


def _version_problems(session: Session) -> Iterator[str]:
    """Each version was submitted as it is, and each review of one was told."""
    rows = select(ListingVersion).order_by(
        col(ListingVersion.listing_id), col(ListingVersion.number)
    )
    for version, tale in with_tales(session, rows, MOVES, lambda row: row.listing_id):
        name = f"version {version.number} of {version.listing_id}"
        frozen = {"version_id": version.id, "content_hash": version.content_hash}
        if not tale.has("listing:submitted", version.submitted_at, **frozen):
            yield f"A1: {name} was submitted without a leaf"
            continue
        review = session.get(ListingReview, version.id)
        yield from _review_problems(name, version, review, tale, frozen)


def _review_problems(
    name: str,
    version: ListingVersion,
    review: ListingReview | None,
    tale: Tale,
    frozen: dict[str, Any],
) -> Iterator[str]:
    listed_at: datetime | None = None
    if review is not None:
        if not tale.has(
            "listing:reviewed",
            review.decided_at,
            decision=review.decision.value,
            reason=review.reason,
            basis=review.basis,
            **frozen,
        ):
            yield f"A1: {name} was reviewed without a leaf"
            return
        if review.decision is Decision.APPROVE:
            listed_at = review.decided_at
    elif any(
        told.kind == "listing:reviewed" and told.facts["version_id"] == version.id
        for told in tale.told
    ):
        yield f"A1: the review of {name} is gone"
    if version.listed_at != listed_at:
        yield f"A1: {name} went on sale without a review"


def _plan_problems(session: Session) -> Iterator[str]:
    rows = select(PlanRow).order_by(col(PlanRow.id))
    for plan, tale in with_tales(session, rows, PLAN_LEAVES, lambda row: row.id):
        name = f"plan {plan.id}"
        sha256 = sha256_hex(canonical(plan.document))
        if not tale.has("plan:offered", plan.created_at, sha256=sha256):
            yield f"A1: {name} was not offered as the log says"
            continue
        retired = tale.last("plan:retired")
        retired_at = retired.at if retired else _replaced_at(session, plan)
        if plan.retired_at != retired_at:
            yield f"A1: {name} was not retired as the log says"


def _replaced_at(session: Session, plan: PlanRow) -> datetime | None:
    """When the next plan of the same name, which has a leaf of its own, took this one's place."""
    return session.exec(
        select(PlanRow.created_at).where(
            PlanRow.listing_id == plan.listing_id,
            PlanRow.name == plan.name,
            PlanRow.number == plan.number + 1,
        )
    ).first()
