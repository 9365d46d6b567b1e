"""What clients send to listings."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.http.examples import looks_like
from app.http.schemas import Body
from app.kernel.addresses import URL_MAX_LENGTH
from app.listings.charges import Charge, CurrencyCode
from app.listings.codes import Delivery
from app.listings.drafting import ListingChange
from app.listings.errors import ModelNotOffered
from app.listings.metadata import Metadata
from app.listings.plans import Meter, Plan, Quota, Rate, Trial, currency_for
from app.listings.states import Decision
from app.listings.upstreams import (
    BODY_MAX_BYTES,
    CERTIFICATE_MAX_CHARS,
    SCOPE_MAX_CHARS,
    SECRET_MAX_CHARS,
    TIMEOUT_MAX_S,
    AuthKind,
    Method,
    UpstreamAuth,
)

Slug = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=80,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(?!\n)$",
        examples=["world-gdp"],
    ),
]
Reason = Annotated[str, Meta(max_length=2000)]
PlanName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\n\t]+(?!\n)$")]


@looks_like(metadata={"title": "世界各国国内生产总值", "keywords": ["GDP", "经济"]})
class NewListing(Body):
    """A listing to be drafted; metadata may be filled in later."""

    slug: Slug
    delivery: Delivery = Delivery.HOSTED
    metadata: Metadata = msgspec.field(default_factory=Metadata)


@looks_like(metadata={"abstract": "1960 年以来各国国内生产总值，按年。"})
class ListingEdit(Body):
    """What to change of the working copy.

    Each member of `metadata` replaces that field whole; null takes it away.
    """

    slug: Slug | UnsetType = UNSET
    delivery: Delivery | UnsetType = UNSET
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)

    def change(self) -> ListingChange:
        """What the operation is asked for."""
        return ListingChange(
            slug=None if self.slug is UNSET else self.slug,
            delivery=None if self.delivery is UNSET else self.delivery,
            metadata=self.metadata,
        )


@looks_like(kind="header", name="X-Api-Key")
class UpstreamAuthBody(Body):
    """How the upstream is authenticated; `name` is a header, a query parameter, a user, or an OAuth
    client.

    `oauth` (client credentials) has a `token_url` and maybe a `scope`; the client's id and secret
    go there by HTTP Basic. `mtls` has a `certificate` (PEM, its chain after it); its `secret` is
    the private key (PEM).
    """

    kind: AuthKind
    name: Annotated[str, Meta(max_length=100)] = ""
    secret: Annotated[str, Meta(max_length=SECRET_MAX_CHARS)] = ""
    token_url: Annotated[str, Meta(max_length=URL_MAX_LENGTH)] = ""
    scope: Annotated[str, Meta(max_length=SCOPE_MAX_CHARS)] = ""
    certificate: Annotated[str, Meta(max_length=CERTIFICATE_MAX_CHARS)] = ""

    def auth(self) -> UpstreamAuth:
        """The credential; refuses one that could not be sent."""
        return UpstreamAuth(
            self.kind, self.name, self.secret, self.token_url, self.scope, self.certificate
        )


@looks_like(
    base_url="https://api.example.cn/v1",
    methods=["GET"],
    auth={"kind": "header", "name": "X-Api-Key", "secret": "hush"},
)
class UpstreamBody(Body):
    """Where and how a proxied listing's calls go. Who offers GET offers HEAD."""

    base_url: Annotated[str, Meta(min_length=8, max_length=URL_MAX_LENGTH)]
    methods: Annotated[tuple[Method, ...], Meta(min_length=1, max_length=len(Method))] = (
        Method.GET,
    )
    auth: UpstreamAuthBody = msgspec.field(
        default_factory=lambda: UpstreamAuthBody(kind=AuthKind.NONE)
    )
    timeout_s: Annotated[int, Meta(ge=1, le=TIMEOUT_MAX_S)] = 10
    body_max_bytes: Annotated[int, Meta(ge=1, le=BODY_MAX_BYTES)] = 1_000_000


class Recurring(msgspec.Struct, tag_field="model", tag="recurring"):
    """Per period; a model of the house that is not billed yet."""


class RevenueShare(msgspec.Struct, tag_field="model", tag="revenue_share"):
    """A percentage; a model of the house that is not billed yet."""


@looks_like(
    name="standard",
    charges=[{"model": "per_unit", "unit_price": {"amount": "0.0125", "currency": "CNY"}}],
    quotas=[{"window": "month", "limit_units": 10000, "overage": "block"}],
)
class NewPlan(Body):
    """A plan to be offered. The currency is that of its amounts; `per`: prices are per so many."""

    name: PlanName
    charges: tuple[Charge | Recurring | RevenueShare, ...]
    currency: CurrencyCode | None = None
    meter: Meter = Meter.CALL
    per: int = 1
    quotas: tuple[Quota, ...] = ()
    rate: Rate | None = None
    billable_statuses: tuple[int, ...] | None = None
    trial: Trial | None = None

    def plan(self) -> Plan:
        """The plan; refuses what does not fit together or is not billed yet."""
        charges = []
        for charge in self.charges:
            if isinstance(charge, Recurring | RevenueShare):
                model = charge.__struct_config__.tag
                raise ModelNotOffered(f"The model {model} is not offered yet.", model=model)
            charges.append(charge)
        return Plan(
            name=self.name,
            currency=self.currency or currency_for(charges, None),
            meter=self.meter,
            per=self.per,
            charges=tuple(charges),
            quotas=self.quotas,
            trial=self.trial,
            rate=self.rate,
            billable_statuses=self.billable_statuses,
        )


@looks_like(decision="correct", reason="材料不全", basis="《数据安全法》第三十二条")
class ReviewBody(Body):
    """A reviewer's decision; a rejection or correction says why and on what basis."""

    decision: Decision
    reason: Reason = ""
    basis: Reason = ""


class ReasonBody(Body):
    """Why something is done, for the record."""

    reason: Annotated[str, Meta(min_length=1, max_length=2000)]
