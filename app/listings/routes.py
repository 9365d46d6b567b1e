"""Routes: drafting, publishing and reading listings."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from sqlmodel import Session, col

from app.accounts.roles import OVERSEERS, must_have_role
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.entity_tags import etag
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page
from app.kernel.actor import Actor
from app.listings.data_routes import DATA_ROUTES
from app.listings.drafting import create_listing, edit_listing, set_licence
from app.listings.errors import SlugTaken
from app.listings.models import Listing
from app.listings.plan_routes import PLAN_ROUTES
from app.listings.publishing import (
    delist_listing,
    open_new_version,
    resume_listing,
    review_listing,
    submit_listing,
    suspend_listing,
)
from app.listings.queries import (
    own_listings,
    sees_all_of,
    submitted_listings,
    versions_of,
    visible_listing,
)
from app.listings.schemas import ListingEdit, NewListing, ReasonBody, ReviewBody
from app.listings.search_parameters import priced, searched
from app.listings.searching import Search, search_catalogue
from app.listings.showing import (
    answer_listing,
    licence_view,
    show_card,
    show_licence,
    show_listing,
    whole_view,
)
from app.listings.states import ListingState
from app.listings.views import (
    CardView,
    LicenceView,
    ListingView,
    SubmittedView,
    VersionList,
    submitted_view,
    version_view,
)

TAGS = ["Listings"]
LISTINGS = "/api/v1/listings"
ONE = f"{LISTINGS}/{{listing_id:str}}"
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match")]
READ, WRITE = [needs("listings:read", "listings:write")], [needs("listings:write")]


@post(
    LISTINGS,
    sync_to_thread=True,
    guards=WRITE,
    tags=TAGS,
    opt={"documented": Documented(refuses=(SlugTaken,))},
)
def post_listing(
    data: JSONBody[NewListing], session: NamedDependency[Session]
) -> Response[ListingView]:
    """Draft a listing. Metadata may be filled in later; submitting says what is missing."""
    made = create_listing(session, data.slug, data.delivery, data.metadata)
    return answer_listing(session, made, 201)


@get(
    LISTINGS,
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    dependencies={
        "search": Provide(searched, sync_to_thread=False),
        "pricing": Provide(priced, sync_to_thread=False),
    },
)
def list_listings(
    session: NamedDependency[Session],
    search: NamedDependency[Search],
    pricing: NamedDependency[Any],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[CardView]:
    """The public catalogue: what is on sale, by words, filters and price."""
    entries, next_cursor = search_catalogue(
        session, pricing.put_into(search), limit=limit, cursor=cursor
    )
    return Page(items=[show_card(session, entry) for entry in entries], next_cursor=next_cursor)


@get(f"{LISTINGS}/own", sync_to_thread=True, guards=READ, tags=TAGS)
def list_own(
    session: NamedDependency[Session],
    wanted: Annotated[ListingState | None, QueryParameter(name="state")] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[ListingView]:
    """Your organisation's listings in every state, the newest first."""
    statement = own_listings(session)
    if wanted is not None:
        statement = statement.where(Listing.state == wanted)
    return page_of(
        session,
        statement,
        col(Listing.id),
        lambda listing: whole_view(session, listing),
        limit=limit,
        cursor=cursor,
    )


@get(f"{LISTINGS}/submitted", sync_to_thread=True, guards=READ, tags=TAGS)
def list_submitted(
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[ListingView]:
    """What waits for a reviewer of the alliance."""
    must_have_role(actor, *OVERSEERS)
    return page_of(
        session,
        submitted_listings(),
        col(Listing.id),
        lambda listing: whole_view(session, listing),
        limit=limit,
        cursor=cursor,
    )


@get(ONE, sync_to_thread=True, tags=TAGS, security=[])
def get_listing(
    listing_id: FromPath[str], session: NamedDependency[Session]
) -> Response[ListingView]:
    """A listing: the version on sale for anybody, the working copy for its provider."""
    view = show_listing(session, listing_id)
    listing = session.get_one(Listing, listing_id)
    return Response(view, headers={"ETag": etag(listing.edit), "Vary": "Authorization"})


@patch(ONE, sync_to_thread=True, guards=WRITE, tags=TAGS)
def patch_listing(
    listing_id: FromPath[str],
    data: JSONBody[ListingEdit],
    session: NamedDependency[Session],
    if_match: IfMatch = None,
) -> Response[ListingView]:
    """Change the working copy: each field of `metadata` that is sent is replaced whole."""
    edited = edit_listing(session, listing_id, data.change(), if_match)
    return answer_listing(session, edited)


TERMS = {"actions": ["use", "derive"], "purposes": ["RESEARCH", "INDUSTRY"], "count": 100_000}
ODRL = {
    "@context": "http://www.w3.org/ns/odrl.jsonld",
    "@type": "Offer",
    "permission": [{"action": "use"}, {"action": "derive"}],
}
LICENCE = Documented(
    takes={
        JSON: Sample(TERMS, dict[str, Any]),
        "application/ld+json": Sample(ODRL, dict[str, Any]),
    }
)


@put(
    f"{ONE}/licence",
    sync_to_thread=True,
    guards=WRITE,
    tags=TAGS,
    opt={"documented": LICENCE},
)
def put_licence(
    listing_id: FromPath[str],
    data: JSONBody[dict[str, Any]],
    session: NamedDependency[Session],
    if_match: IfMatch = None,
) -> Response[LicenceView]:
    """Set the terms of use, as structured terms or as ODRL 2.2 in JSON-LD.

    Of hosted data, `columns` names the only columns that are shown, and `rows` says which rows are,
    by a condition as in a query's `where`: `country in ('CN', 'DE') and year >= 2020`. It is read
    with the data's own columns when the listing is submitted.
    """
    listing = set_licence(session, listing_id, data, if_match)
    assert listing.licence is not None, "it has just been set"
    return Response(licence_view(listing, listing.licence), headers={"ETag": etag(listing.edit)})


@get(f"{ONE}/licence", sync_to_thread=True, tags=TAGS, security=[])
def get_licence(listing_id: FromPath[str], session: NamedDependency[Session]) -> LicenceView:
    """The terms of use in both forms, and which of them the gateway enforces."""
    return show_licence(session, listing_id)


@get(f"{ONE}/versions", sync_to_thread=True, tags=TAGS, security=[])
def get_versions(
    listing_id: FromPath[str], session: NamedDependency[Session], actor: NamedDependency[Actor]
) -> VersionList:
    """Frozen versions, the newest first; the public sees those that were on sale."""
    listing = visible_listing(session, listing_id)
    everything = sees_all_of(actor, listing)
    return VersionList(
        items=[
            version_view(version)
            for version in versions_of(session, listing_id)
            if everything or version.listed_at is not None
        ]
    )


@post(f"{ONE}/submit", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_submit(listing_id: FromPath[str], session: NamedDependency[Session]) -> SubmittedView:
    """Freeze the working copy as a version and hand it to the reviewers.

    What is missing or against a rule comes back at once: 422 `listing-gates-failed` with `gates`.
    """
    version = submit_listing(session, listing_id)
    return submitted_view(session.get_one(Listing, listing_id), version)


@post(f"{ONE}/review", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_review(
    listing_id: FromPath[str],
    data: JSONBody[ReviewBody],
    session: NamedDependency[Session],
    if_match: IfMatch = None,
) -> Response[ListingView]:
    """Decide on a submitted version; a reviewer of the alliance does, never of the provider.

    Send the `ETag` that you read as `If-Match`: then nothing is approved that you have not seen.
    """
    reviewed = review_listing(
        session,
        listing_id,
        data.decision,
        reason=data.reason,
        basis=data.basis,
        if_match=if_match,
    )
    return answer_listing(session, reviewed)


@post(f"{ONE}/suspend", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_suspend(
    listing_id: FromPath[str], data: JSONBody[ReasonBody], session: NamedDependency[Session]
) -> Response[ListingView]:
    """Take a listing off sale for now; contracts that were signed go on."""
    return answer_listing(session, suspend_listing(session, listing_id, data.reason))


@post(f"{ONE}/resume", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_resume(
    listing_id: FromPath[str], session: NamedDependency[Session]
) -> Response[ListingView]:
    """Put a suspended listing on sale again; the side that suspended it does."""
    return answer_listing(session, resume_listing(session, listing_id))


@post(f"{ONE}/delist", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_delist(
    listing_id: FromPath[str], data: JSONBody[ReasonBody], session: NamedDependency[Session]
) -> Response[ListingView]:
    """Take a listing off sale for good; contracts that were signed go on."""
    return answer_listing(session, delist_listing(session, listing_id, data.reason))


@post(f"{ONE}/new-version", sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def post_new_version(
    listing_id: FromPath[str], session: NamedDependency[Session]
) -> Response[ListingView]:
    """Begin a new version: the working copy can be edited, what is on sale stays on sale."""
    return answer_listing(session, open_new_version(session, listing_id))


LISTING_ROUTES = (
    post_listing,
    list_listings,
    list_own,
    list_submitted,
    get_listing,
    patch_listing,
    put_licence,
    get_licence,
    get_versions,
    post_submit,
    post_review,
    post_suspend,
    post_resume,
    post_delist,
    post_new_version,
)
ROUTERS = (*LISTING_ROUTES, *PLAN_ROUTES, *DATA_ROUTES)
