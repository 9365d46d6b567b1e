"""What listings answer."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from app.http.examples import example_id, looks_like
from app.http.schemas import MoneyView, View, money_view
from app.listings.charges import Charge
from app.listings.codes import Delivery, OpenType
from app.listings.models import (
    CatalogueEntry,
    DataFile,
    Listing,
    ListingReview,
    ListingVersion,
    PlanRow,
    UpstreamApi,
)
from app.listings.plans import Meter, Quota, Rate, plan_from_document
from app.listings.prices import Quote
from app.listings.states import Decision, ListingState, Side


@looks_like(id=example_id("fil"), name="gdp.csv", source_format="csv")
class FileView(View):
    """The table of a listing: `sha256` of what was uploaded, `parquet_sha256` of what is served."""

    id: str
    name: str
    source_format: str
    row_count: int
    size_bytes: int
    sha256: str
    parquet_sha256: str
    parquet_size_bytes: int
    columns: list[dict[str, str]]
    uploaded_at: datetime


@looks_like(
    base_url="https://api.example.cn/v1",
    methods=["GET"],
    next_methods=None,
    auth_kind="header",
    auth_name="X-Api-Key",
    auth_details=None,
    timeout_s=10,
    body_max_bytes=1_000_000,
)
class UpstreamView(View):
    """Where a proxied listing's calls go; the secret is never told.

    `next_…`: what a new version under way will have. `auth_details`: `token_url` and `scope` of
    `oauth`, `certificate` of `mtls`.
    """

    base_url: str
    next_base_url: str | None
    methods: list[str]
    next_methods: list[str] | None
    auth_kind: str
    auth_name: str
    auth_details: dict[str, str] | None
    timeout_s: int
    body_max_bytes: int
    set_at: datetime


@looks_like(
    id=example_id("pln"),
    name="standard",
    charges=[{"model": "per_unit", "unit_price": {"amount": "0.0125", "currency": "CNY"}}],
    quotas=[{"window": "month", "limit_units": 10000, "overage": "block"}],
    rate={"per_second": 10, "burst": 20},
)
class PlanView(View):
    """A plan; `id` and `number` name this very price."""

    id: str
    listing_id: str
    name: str
    number: int
    currency: str
    meter: Meter
    per: int
    charges: tuple[Charge, ...]
    quotas: tuple[Quota, ...]
    rate: Rate | None
    billable_statuses: tuple[int, ...] | None
    created_at: datetime
    retired_at: datetime | None


class PlanList(View):
    """The plans that can be bought now."""

    items: list[PlanView]


@looks_like(id=example_id("ver"))
class VersionView(View):
    """A frozen version: what was submitted, and since when it is or was on sale."""

    id: str
    number: int
    content_hash: str
    submitted_at: datetime
    listed_at: datetime | None


class VersionList(View):
    """Frozen versions, the newest first."""

    items: list[VersionView]


@looks_like(version_number=1, decision="approve", reason="", basis="")
class ReviewView(View):
    """What a reviewer decided about a version."""

    version_id: str
    version_number: int
    decision: Decision
    reason: str
    basis: str
    decided_at: datetime


@looks_like(
    id=example_id("lst"),
    product_id="ZG202611020000013",
    state="LISTED",
    metadata={"title": "世界各国国内生产总值"},
    licence={"actions": ["use", "derive"], "purposes": ["RESEARCH"]},
    upstream=None,
)
class ListingView(View):
    """A listing. The public sees the version on sale; its provider and the alliance the working
    copy, where it stands, and the reviews.
    """

    id: str
    slug: str
    product_id: str
    provider_id: str
    delivery: Delivery
    state: ListingState
    revision_state: ListingState | None
    suspended_by: Side | None
    metadata: dict[str, Any]
    licence: dict[str, Any] | None
    file: FileView | None
    upstream: UpstreamView | None
    plans: list[PlanView]
    version: VersionView | None
    reviews: list[ReviewView]
    created_at: datetime


@looks_like(state="SUBMITTED")
class SubmittedView(View):
    """What a submission froze."""

    state: ListingState
    revision_state: ListingState | None
    version: VersionView


@looks_like(
    terms={"actions": ["use"], "purposes": ["RESEARCH"]},
    odrl={"@type": "Offer", "permission": [{"action": "use"}]},
    enforced_by_gateway=["purposes"],
    legal_only=["actions"],
)
class LicenceView(View):
    """Terms of use: as structured terms, as ODRL, and which of them the gateway enforces."""

    terms: dict[str, Any]
    odrl: dict[str, Any]
    enforced_by_gateway: list[str]
    legal_only: list[str]


@looks_like(amount="0.0125")
class PriceView(View):
    """A price in major units, as decimal text."""

    amount: str
    currency: str


@looks_like(
    id=example_id("lst"),
    provider_name="智谷示例有限公司",
    scene=["INDUSTRY"],
    update_cycle="EVERY_YEAR",
)
class CardView(View):
    """A listing in the public catalogue; `price_from` is its cheapest plan's headline price."""

    id: str
    slug: str
    title: str
    title_en: str | None
    abstract: str
    provider_id: str
    provider_name: str
    delivery: Delivery
    sector_code: str
    region_code: str
    scene: list[str]
    open_type: OpenType | None
    update_cycle: str
    row_count: int | None
    price_from: PriceView | None
    version_id: str
    listed_at: datetime


@looks_like(masked=["phone"], rows=[{"country": "CN", "phone": "***"}])
class SampleView(View):
    """The first rows; `masked` columns hold `***` where there is a value."""

    columns: list[dict[str, str]]
    masked: list[str]
    rows: list[dict[str, Any]]


@looks_like(unit_price="0.0125", flat={"amount_minor": 0, "currency": "CNY"})
class TierUseView(View):
    """The units that one tier priced."""

    units: int
    unit_price: str
    flat: MoneyView


@looks_like(charge=0, included_units=0)
class LineView(View):
    """What one charge of the plan costs."""

    charge: int
    model: str
    units: int
    included_units: int
    amount: MoneyView
    tiers: list[TierUseView]


class QuoteView(View):
    """What units cost in one period, without tax; an invoice is rated the same way."""

    plan_id: str
    units: int
    lines: list[LineView]
    total: MoneyView


def file_view(file: DataFile) -> FileView:
    """`file` as its provider sees it."""
    return FileView(
        id=file.id,
        name=file.name,
        source_format=file.source_format,
        row_count=file.rows,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        parquet_sha256=file.parquet_sha256,
        parquet_size_bytes=file.parquet_size_bytes,
        columns=file.columns,
        uploaded_at=file.uploaded_at,
    )


def upstream_view(upstream: UpstreamApi) -> UpstreamView:
    """`upstream` without its secret."""
    return UpstreamView(
        base_url=upstream.base_url,
        next_base_url=upstream.next_base_url,
        methods=upstream.methods,
        next_methods=upstream.next_methods,
        auth_kind=upstream.auth_kind.value,
        auth_name=upstream.auth_name,
        auth_details=upstream.auth_details,
        timeout_s=upstream.timeout_s,
        body_max_bytes=upstream.body_max_bytes,
        set_at=upstream.set_at,
    )


def plan_view(row: PlanRow) -> PlanView:
    """The plan of a row."""
    plan = plan_from_document(row.document)
    return PlanView(
        id=row.id,
        listing_id=row.listing_id,
        name=plan.name,
        number=row.number,
        currency=plan.currency,
        meter=plan.meter,
        per=plan.per,
        charges=plan.charges,
        quotas=plan.quotas,
        rate=plan.rate,
        billable_statuses=plan.billable_statuses,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )


def version_view(version: ListingVersion) -> VersionView:
    """A version without its document."""
    return VersionView(
        id=version.id,
        number=version.number,
        content_hash=version.content_hash,
        submitted_at=version.submitted_at,
        listed_at=version.listed_at,
    )


def review_view(review: ListingReview, number: int) -> ReviewView:
    """A decision about the version with this number."""
    return ReviewView(
        version_id=review.version_id,
        version_number=number,
        decision=review.decision,
        reason=review.reason,
        basis=review.basis,
        decided_at=review.decided_at,
    )


def submitted_view(listing: Listing, version: ListingVersion) -> SubmittedView:
    """The listing's new state and the version that froze."""
    return SubmittedView(
        state=listing.state,
        revision_state=listing.revision_state,
        version=version_view(version),
    )


def card_view(entry: CatalogueEntry, listing: Listing, version: ListingVersion) -> CardView:
    """A catalogue entry with what only its version knows."""
    document = version.document
    price = None
    if entry.currency is not None and entry.headline_micro is not None:
        amount = Decimal(entry.headline_micro).scaleb(-6).normalize()
        price = PriceView(amount=format(amount, "f"), currency=entry.currency)
    return CardView(
        id=listing.id,
        slug=listing.slug,
        title=entry.title,
        title_en=document.get("title_en"),
        abstract=document["abstract"][:300],
        provider_id=entry.provider_id,
        provider_name=entry.provider_name,
        delivery=version.delivery,
        sector_code=entry.sector_code,
        region_code=entry.region_code,
        scene=document["scene"],
        open_type=entry.open_type,
        update_cycle=document["update_cycle"],
        row_count=document.get("row_count"),
        price_from=price,
        version_id=version.id,
        listed_at=entry.listed_at,
    )


def quote_view(plan_id: str, units: int, rated: Quote) -> QuoteView:
    """A quote as it goes on the wire."""
    return QuoteView(
        plan_id=plan_id,
        units=units,
        lines=[
            LineView(
                charge=line.charge,
                model=line.model,
                units=line.units,
                included_units=line.included_units,
                amount=money_view(line.amount),
                tiers=[
                    TierUseView(
                        units=use.units, unit_price=use.unit_price, flat=money_view(use.flat)
                    )
                    for use in line.tiers
                ],
            )
            for line in rated.lines
        ],
        total=money_view(rated.total),
    )
