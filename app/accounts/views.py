"""What accounts answers, and how rows become answers."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from app.accounts.alliance.membership import SeatRole
from app.accounts.models import Client, Organisation, Person, SigningKey, Verification
from app.accounts.queries import verification_at
from app.accounts.roles import Role
from app.accounts.states import AuthMethod, Decision, GrantType, OrganisationKind, VerificationState
from app.http.examples import example_id, looks_like
from app.http.schemas import View
from app.kernel.clock import local_day


@looks_like(id=example_id("org"), credit_code="91350100M000100Y43", verification_state="VERIFIED")
class OrganisationView(View):
    """An organisation, as its own people and the overseers of the alliance see it."""

    id: str
    name: str
    name_en: str | None
    credit_code: str | None
    kind: OrganisationKind
    region_code: str | None
    contact: dict[str, Any]
    state: Literal["active", "suspended"]
    verification_state: VerificationState
    verified_until: datetime | None
    expires_on: date | None
    created_at: datetime


@looks_like(documents=[], reason=None)
class VerificationView(View):
    """One request to be verified and its decision."""

    number: int
    legal_representative: str | None
    documents: list[Any]
    note: str | None
    requested_at: datetime
    decision: Decision | None
    decided_at: datetime | None
    reason: str | None
    valid_until: datetime | None


class VerificationList(View):
    """Every request of an organisation, newest first."""

    verification_state: VerificationState
    items: list[VerificationView]


@looks_like(name="nightly import", roles=[], redirect_uris=[])
class ClientView(View):
    """A client; its secret is never told again."""

    client_id: str
    organisation_id: str
    name: str
    state: Literal["active", "revoked"]
    auth_method: AuthMethod
    scopes: list[str]
    roles: list[str]
    redirect_uris: list[str]
    grant_types: list[GrantType]
    jwks: dict[str, Any] | None
    created_at: datetime
    revoked_at: datetime | None


class ClientWithSecret(ClientView):
    """A client and the secret that is shown this once; null when it has none."""

    client_secret: str | None


@looks_like(id=example_id("usr"), name="李四", role="purchaser")
class MemberView(View):
    """A person of an organisation."""

    id: str
    organisation_id: str
    email: str
    name: str
    role: Role
    state: Literal["active", "removed"]
    joined_at: datetime
    removed_at: datetime | None


@looks_like(nonce="b5Jq2r8Vx0dTn4wLs6Yh1g", expires_in=600)
class NonceView(View):
    """A nonce for one key proof."""

    nonce: str
    expires_in: int


@looks_like(id=example_id("key"))
class KeyView(View):
    """A signing key; signatures name it by `kid`, its RFC 7638 thumbprint, or by its id."""

    id: str
    kid: str
    organisation_id: str
    jwk: dict[str, Any]
    state: Literal["active", "revoked"]
    registered_at: datetime
    revoked_at: datetime | None


@looks_like(
    kind="client",
    id=example_id("cli"),
    name="nightly import",
    organisation_name="智谷示例有限公司",
    verification_state="VERIFIED",
    roles=[],
    alliance_roles=["MEMBER"],
)
class Principal(View):
    """Who asks, by the token; `alliance_roles` are those that the organisation holds today."""

    kind: str
    id: str
    name: str
    organisation_id: str
    organisation_name: str
    verification_state: VerificationState
    client_id: str | None
    roles: list[str]
    alliance_roles: list[SeatRole]
    scopes: list[str]


def organisation_view(organisation: Organisation, moment: datetime) -> OrganisationView:
    """The organisation as it stands at `moment`."""
    until = organisation.verified_until
    return OrganisationView(
        id=organisation.id,
        name=organisation.name,
        name_en=organisation.name_en,
        credit_code=organisation.credit_code,
        kind=organisation.kind,
        region_code=organisation.region_code,
        contact=organisation.contact,
        state="active" if organisation.suspended_at is None else "suspended",
        verification_state=verification_at(organisation, moment),
        verified_until=until,
        expires_on=None if until is None else local_day(until - timedelta(microseconds=1)),
        created_at=organisation.created_at,
    )


def verification_view(row: Verification) -> VerificationView:
    """One request to be verified."""
    return VerificationView(
        number=row.number,
        legal_representative=row.legal_representative,
        documents=row.documents,
        note=row.note,
        requested_at=row.requested_at,
        decision=row.decision,
        decided_at=row.decided_at,
        reason=row.reason,
        valid_until=row.valid_until,
    )


def client_view(client: Client) -> ClientView:
    """A client without its secret."""
    return ClientView(**_client_facts(client))


def client_with_secret(client: Client, secret: str | None) -> ClientWithSecret:
    """A client and its fresh secret."""
    return ClientWithSecret(client_secret=secret, **_client_facts(client))


def member_view(person: Person) -> MemberView:
    """A person without any credential."""
    return MemberView(
        id=person.id,
        organisation_id=person.organisation_id,
        email=person.email,
        name=person.name,
        role=person.role,
        state="active" if person.removed_at is None else "removed",
        joined_at=person.joined_at,
        removed_at=person.removed_at,
    )


def key_view(row: SigningKey) -> KeyView:
    """A registered signing key."""
    return KeyView(
        id=row.id,
        kid=row.thumbprint,
        organisation_id=row.organisation_id,
        jwk=row.jwk,
        state="active" if row.revoked_at is None else "revoked",
        registered_at=row.registered_at,
        revoked_at=row.revoked_at,
    )


def _client_facts(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "organisation_id": client.organisation_id,
        "name": client.name,
        "state": "active" if client.revoked_at is None else "revoked",
        "auth_method": client.auth_method,
        "scopes": client.scopes,
        "roles": client.roles,
        "redirect_uris": client.redirect_uris,
        "grant_types": [GrantType(one) for one in client.grant_types],
        "jwks": client.jwks,
        "created_at": client.created_at,
        "revoked_at": client.revoked_at,
    }
