"""Routes: plans and quotes."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlmodel import Session

from app.http.documented import Documented
from app.http.guarding import needs
from app.kernel.canonical import MAX_INTEGER
from app.listings.errors import ListingStepRefused
from app.listings.plans import plan_from_document
from app.listings.prices import quote
from app.listings.pricing import add_plan, retire_plan
from app.listings.queries import offered_plans, plan_of_listing, visible_listing
from app.listings.schemas import NewPlan
from app.listings.views import PlanList, PlanView, QuoteView, plan_view, quote_view

TAGS = ["Listings"]
PLANS = "/api/v1/listings/{listing_id:str}/plans"
PLAN = f"{PLANS}/{{plan_id:str}}"
WRITE = [needs("listings:write")]


@post(PLANS, sync_to_thread=True, guards=WRITE, tags=TAGS)
def post_plan(
    listing_id: FromPath[str], data: JSONBody[NewPlan], session: NamedDependency[Session]
) -> PlanView:
    """Offer a plan. One of the same name is replaced for new contracts; signed ones keep theirs."""
    return plan_view(add_plan(session, listing_id, data.plan()))


@get(PLANS, sync_to_thread=True, tags=TAGS, security=[])
def list_plans(listing_id: FromPath[str], session: NamedDependency[Session]) -> PlanList:
    """The plans that can be bought now."""
    listing = visible_listing(session, listing_id)
    return PlanList(items=[plan_view(row) for row in offered_plans(session, listing.id)])


@get(PLAN, sync_to_thread=True, tags=TAGS, security=[])
def get_plan(
    listing_id: FromPath[str], plan_id: FromPath[str], session: NamedDependency[Session]
) -> PlanView:
    """A plan, a retired one too."""
    listing = visible_listing(session, listing_id)
    return plan_view(plan_of_listing(session, listing.id, plan_id))


@get(
    f"{PLAN}/quote",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    opt={"documented": Documented(refuses=(ListingStepRefused,))},
)
def get_quote(
    listing_id: FromPath[str],
    plan_id: FromPath[str],
    session: NamedDependency[Session],
    units: Annotated[int, QueryParameter(ge=0, le=MAX_INTEGER)],
) -> QuoteView:
    """What so many units would cost in the first period, line by line, without tax.

    Only of a plan that can be bought: a contract signed on a retired one has a preview.
    """
    listing = visible_listing(session, listing_id)
    row = plan_of_listing(session, listing.id, plan_id)
    if row.retired_at is not None:
        raise ListingStepRefused("The plan is retired.", state=listing.state.value)
    return quote_view(row.id, units, quote(plan_from_document(row.document), units))


@post(f"{PLAN}/retire", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_retire(
    listing_id: FromPath[str], plan_id: FromPath[str], session: NamedDependency[Session]
) -> PlanView:
    """Offer a plan no longer; contracts that were signed on it go on."""
    return plan_view(retire_plan(session, listing_id, plan_id))


PLAN_ROUTES = (post_plan, list_plans, get_plan, get_quote, post_retire)
