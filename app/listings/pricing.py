"""Pricing: plans are added and retired; none is ever changed."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from sqlmodel import Session, func, select

from app.audit.recording import record
from app.db.session import now
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.ids import new_id
from app.kernel.money import EXACT
from app.listings.cataloguing import show_in_catalogue
from app.listings.errors import ListingStepRefused, OpenDataIsFree, PlanRefused
from app.listings.gates import COUNTABLE, is_open
from app.listings.metadata import metadata_from, stated_of
from app.listings.models import Listing, ListingVersion, PlanRow
from app.listings.plans import Plan, plan_document
from app.listings.prices import can_cost, headline_price
from app.listings.queries import offered_plans, own_listing, plan_of_listing
from app.listings.states import NEXT, ListingState

OFFERED_MAX = 50


def add_plan(session: Session, listing_id: str, plan: Plan) -> PlanRow:
    """Offer a plan; one of the same name is replaced for new contracts, not for signed ones.

    Refuses with `OpenDataIsFree` a price on open government data, and with `PlanRefused` a meter
    that the listing's delivery does not count.
    """
    listing = own_listing(session, listing_id)
    if not NEXT[listing.state]:
        raise ListingStepRefused("The listing is over.", state=listing.state.value)
    if plan.meter not in COUNTABLE[listing.delivery]:
        raise PlanRefused(
            "The listing's delivery does not count by this meter.",
            rule="meter",
            meters=sorted(COUNTABLE[listing.delivery]),
        )
    if can_cost(plan) and _is_open(session, listing):
        raise OpenDataIsFree("Open government data is free of charge.")
    moment = now(session)
    offered = offered_plans(session, listing_id)
    for before in offered:
        if before.name == plan.name:
            before.retired_at = moment
    if len(offered) >= OFFERED_MAX:
        raise PlanRefused(f"A listing offers {OFFERED_MAX} plans at most.", rule="plan-count")
    session.flush()
    last = session.exec(
        select(func.max(PlanRow.number)).where(
            PlanRow.listing_id == listing_id, PlanRow.name == plan.name
        )
    ).one()
    row = PlanRow(
        id=new_id("pln"),
        listing_id=listing_id,
        name=plan.name,
        number=(last or 0) + 1,
        currency=plan.currency,
        document=plan_document(plan),
        headline_micro=headline_micro(plan),
        created_at=moment,
    )
    session.add(row)
    session.flush()
    _record(session, listing, row, "plan:offered", sha256=sha256_hex(canonical(row.document)))
    return row


def retire_plan(session: Session, listing_id: str, plan_id: str) -> PlanRow:
    """Offer a plan no longer; contracts that were signed on it go on."""
    listing = own_listing(session, listing_id)
    row = plan_of_listing(session, listing_id, plan_id, lock=True)
    if row.retired_at is not None:
        raise ListingStepRefused("The plan is retired.", state=listing.state.value)
    row.retired_at = now(session)
    session.flush()
    _record(session, listing, row, "plan:retired")
    return row


def headline_micro(plan: Plan) -> int:
    """The headline price in millionths of the major unit, rounded up: never shown too cheap."""
    scaled = headline_price(plan).scaleb(6, EXACT).to_integral_value(ROUND_CEILING)
    return int(min(scaled, Decimal(2**63 - 1)))


def _is_open(session: Session, listing: Listing) -> bool:
    documents = [listing.stated]
    if listing.version_id is not None:
        documents.append(session.get_one(ListingVersion, listing.version_id).document)
    return any(is_open(metadata_from(stated_of(document))) for document in documents)


def _record(session: Session, listing: Listing, row: PlanRow, kind: str, **facts: str) -> None:
    record(
        session,
        kind,
        row.id,
        organisations=(listing.provider_id,),
        listing_id=listing.id,
        name=row.name,
        number=row.number,
        **facts,
    )
    if listing.state is ListingState.LISTED:
        show_in_catalogue(session, listing)
