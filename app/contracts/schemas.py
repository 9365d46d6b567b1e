"""Shapes of negotiations and contracts in the API."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from app.contracts.models import (
    REASON_CHARS,
    Contract,
    DataGrant,
    Hold,
    Negotiation,
    Signature,
    TermsVersion,
    UnitGrant,
)
from app.contracts.states import UnitKind
from app.http.examples import example_id, looks_like
from app.http.schemas import Body, Text, View
from app.kernel.canonical import MAX_INTEGER
from app.kernel.jws import MAX_JWS_CHARS
from app.listings.codes import Delivery, Purpose
from app.listings.plans import Quota, Rate

Id = Annotated[str, Meta(min_length=1, max_length=40)]
ReasonText = Annotated[str, Meta(min_length=1, max_length=REASON_CHARS, examples=["预算已用完"])]


class NewNegotiation(Body):
    """What a buyer asks for; `starts_on` and `ends_on` are both included."""

    listing_id: Id
    plan_id: Id
    purpose: Purpose
    channel: Delivery
    starts_on: date
    ends_on: date
    application_id: Id | None = None


@looks_like(ends_on="2026-12-31", liability="各自承担直接损失。")
class TermsChange(Body):
    """Points that change; what is left out stays. Only the provider sets the last two."""

    plan_id: Id | UnsetType = UNSET
    quotas: tuple[Quota, ...] | UnsetType = UNSET
    rate: Rate | UnsetType | None = UNSET
    purpose: Purpose | UnsetType = UNSET
    channel: Delivery | UnsetType = UNSET
    starts_on: date | UnsetType = UNSET
    ends_on: date | UnsetType = UNSET
    service_level: Text | UnsetType = UNSET
    liability: Text | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """The members that were sent; codes as their text."""
        sent = {name: getattr(self, name) for name in self.__struct_fields__}
        return {
            name: value.value if isinstance(value, Purpose | Delivery) else value
            for name, value in sent.items()
            if value is not UNSET
        }


@looks_like(signature="eyJhbGciOiJFZDI1NTE5In0..c2lnbmF0dXJl")
class SigningBody(Body):
    """A detached JWS (RFC 7515 Appendix F) over the canonical bytes of the terms."""

    signature: Annotated[str, Meta(max_length=MAX_JWS_CHARS)] | None = None
    custodial: bool = False


class TerminationBody(Body):
    """Why somebody walks away."""

    reason: ReasonText


@looks_like(reason="预算已用完")
class ReasonBody(Body):
    """Why, if one wants to say so."""

    reason: ReasonText | None = None


@looks_like(kind="top_up", units=1000, priority=None, first_on=None, last_on="2026-12-31")
class NewUnits(Body):
    """Units beside the quotas, free of charge. Both dates are included; without them the units are
    good from now, or to the contract's end. Of several grants the lowest `priority` burns first.
    """

    kind: Literal["top_up", "goodwill"]
    units: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    priority: Annotated[int, Meta(ge=0, le=255)] | None = None
    first_on: date | None = None
    last_on: date | None = None
    reason: ReasonText | None = None


@looks_like(
    id=example_id("ugr"),
    kind="top_up",
    meter="call",
    priority=200,
    amount_units=1000,
    burned_units=250,
    left_units=750,
    side="provider",
)
class UnitGrantView(View):
    """Units beside the quotas: calls burn them first, in `[starts_at, ends_at)`, and nothing is
    charged for them. `side` is who gave them, null where the plan did; `left_units` are lost at the
    end.
    """

    id: str
    contract_id: str
    kind: UnitKind
    meter: str
    priority: int
    amount_units: int
    burned_units: int
    left_units: int
    starts_at: datetime
    ends_at: datetime
    granted_at: datetime
    side: str | None
    reason: str | None


@looks_like(id=example_id("sig"), side="provider")
class SignatureView(View):
    """A signature as evidence: with the terms' bytes and the key it verifies anywhere."""

    id: str
    organisation_id: str
    side: str
    kid: str
    terms_sha256: str
    jws: str
    signed_at: datetime


@looks_like(
    id=example_id("neg"), state="REQUESTED", proposed_by="buyer", signatures=[], reason=None
)
class NegotiationView(View):
    """A negotiation, and the points of its newest terms."""

    id: str
    state: str
    buyer_id: str
    provider_id: str
    listing_id: str
    version_id: str
    slug: str
    plan_id: str
    purpose: str
    channel: str
    starts_on: str
    ends_on: str
    terms_number: int
    terms_sha256: str
    proposed_by: str
    requested_at: datetime
    moved_at: datetime
    signatures: list[SignatureView]
    contract_id: str | None = None
    terminated_by: str | None = None
    reason: str | None = None


@looks_like(id=example_id("grt"), reason=None)
class GrantView(View):
    """The right to call that a contract gives; `reason` says why it is not live."""

    id: str
    live: bool
    epoch: int
    reason: str | None


@looks_like(side="buyer")
class HoldView(View):
    """Who suspended a contract, and since when."""

    side: str
    since: datetime
    reason: str | None


@looks_like(
    id=example_id("ctr"),
    state="active",
    starts_at="2026-11-01T16:00:00Z",
    ends_at="2027-11-01T16:00:00Z",
    reason=None,
    holds=[],
)
class ContractView(View):
    """A contract: `[starts_at, ends_at)` as agreed, `ended_at` as it came."""

    id: str
    state: str
    negotiation_id: str
    buyer_id: str
    provider_id: str
    listing_id: str
    version_id: str
    slug: str
    plan_id: str
    purpose: str
    channel: str
    starts_on: str
    ends_on: str
    starts_at: datetime
    ends_at: datetime
    activated_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    reason: str | None
    terms_sha256: str
    signatures: list[SignatureView]
    grants: list[GrantView]
    holds: list[HoldView]


def signature_view(signature: Signature) -> SignatureView:
    """A signature row as it is shown."""
    return SignatureView(
        id=signature.id,
        organisation_id=signature.organisation_id,
        side=signature.side.value,
        kid=signature.kid,
        terms_sha256=signature.terms_sha256,
        jws=signature.jws,
        signed_at=signature.signed_at,
    )


def negotiation_view(
    negotiation: Negotiation,
    terms: TermsVersion,
    signatures: list[Signature],
    contract_id: str | None,
) -> NegotiationView:
    """A negotiation row with its newest terms and their signatures."""
    return NegotiationView(
        id=negotiation.id,
        state=negotiation.state.value,
        buyer_id=negotiation.buyer_id,
        provider_id=negotiation.provider_id,
        listing_id=negotiation.listing_id,
        version_id=negotiation.version_id,
        **_points(terms),
        terms_number=terms.number,
        terms_sha256=terms.sha256,
        proposed_by=terms.proposed_by.value,
        requested_at=negotiation.requested_at,
        moved_at=negotiation.moved_at,
        signatures=[signature_view(signature) for signature in signatures],
        contract_id=contract_id,
        terminated_by=negotiation.terminated_by,
        reason=negotiation.reason,
    )


def contract_view(
    contract: Contract,
    terms: TermsVersion,
    signatures: list[Signature],
    grants: list[DataGrant],
    holds: list[Hold],
) -> ContractView:
    """A contract row with all that hangs on it."""
    return ContractView(
        id=contract.id,
        state=contract.state.value,
        negotiation_id=contract.negotiation_id,
        buyer_id=contract.buyer_id,
        provider_id=contract.provider_id,
        listing_id=contract.listing_id,
        version_id=contract.version_id,
        **_points(terms),
        starts_at=contract.starts_at,
        ends_at=contract.ends_at,
        activated_at=contract.activated_at,
        ended_at=contract.ended_at,
        ended_by=contract.ended_by,
        reason=contract.reason,
        terms_sha256=contract.terms_sha256,
        signatures=[signature_view(signature) for signature in signatures],
        grants=[
            GrantView(id=grant.id, live=grant.live, epoch=grant.epoch, reason=grant.reason)
            for grant in grants
        ],
        holds=[HoldView(side=hold.side, since=hold.held_at, reason=hold.reason) for hold in holds],
    )


def _points(terms: TermsVersion) -> dict[str, str]:
    document = terms.document
    return {
        "slug": document["listing"]["slug"],
        "plan_id": document["plan"]["id"],
        **{name: document[name] for name in ("purpose", "channel", "starts_on", "ends_on")},
    }


def unit_grant_view(granted: UnitGrant, burned_units: int = 0) -> UnitGrantView:
    """A grant of units and what calls have burned of it."""
    return UnitGrantView(
        id=granted.id,
        contract_id=granted.contract_id,
        kind=granted.kind,
        meter=granted.meter,
        priority=granted.priority,
        amount_units=granted.amount_units,
        burned_units=burned_units,
        left_units=granted.amount_units - burned_units,
        starts_at=granted.starts_at,
        ends_at=granted.ends_at,
        granted_at=granted.granted_at,
        side=None if granted.side is None else granted.side.value,
        reason=granted.reason,
    )
