"""What clients send to name an identity provider, and what they are shown of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from app.accounts.identity_providers.attaching import ProviderWish
from app.accounts.identity_providers.mapping import RoleMapping
from app.accounts.identity_providers.models import (
    CLAIM_CHARS,
    CLIENT_ID_CHARS,
    DOMAIN_CHARS,
    ISSUER_CHARS,
)
from app.accounts.identity_providers.states import DomainState, ProviderAuth, ProviderState
from app.accounts.roles import Role
from app.accounts.schemas import Reason
from app.http.examples import example_id, looks_like
from app.http.schemas import Body, Line, View

Issuer = Annotated[str, Meta(pattern=r"^https?://[!-~]+(?!\n)$", max_length=ISSUER_CHARS)]
ClientId = Annotated[str, Meta(pattern=r"^[!-~]+(?!\n)$", max_length=CLIENT_ID_CHARS)]
Secret = Annotated[str, Meta(pattern=r"^[ -~]+(?!\n)$", max_length=500)]
Claim = Annotated[str, Meta(pattern=r"^[!-~]+(?!\n)$", max_length=CLAIM_CHARS)]
Domain = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9](?!\n)$",
        max_length=DOMAIN_CHARS,
    ),
]

ISSUER = "https://login.example.cn"
DOMAINS = ["example.cn"]
MAPPINGS = [{"value": "zhigu-buyers", "role": "purchaser"}]


@looks_like(value="zhigu-buyers", role="purchaser")
class MappedRole(Body):
    """The role of whoever has this value in the claim."""

    value: Line
    role: Role


@looks_like(
    issuer=ISSUER,
    client_id="zhigu",
    domains=DOMAINS,
    role_claim="groups",
    roles=MAPPINGS,
)
class IdentityProviderWish(Body):
    """An OpenID provider, and who comes by it as what.

    `client_secret` is kept sealed and never shown; left out, the one before stays. With
    `private_key_jwt` there is none: register the key that the answer shows. `roles` are read in
    order, the first that fits counts; who has none of them has `default_role`, and without one no
    rights. `domains` are those of your people's addresses: each counts once it is confirmed.
    """

    issuer: Issuer
    client_id: ClientId
    domains: Annotated[list[Domain], Meta(max_length=20)]
    auth_method: ProviderAuth = ProviderAuth.SECRET_BASIC
    client_secret: Secret | None = None
    role_claim: Claim | None = None
    roles: Annotated[tuple[MappedRole, ...], Meta(max_length=50)] = ()
    default_role: Role | None = None
    password_allowed: bool = True

    def wish(self) -> ProviderWish:
        """What the operation is asked for."""
        pairs = [(one.value, one.role) for one in self.roles]
        return ProviderWish(
            issuer=self.issuer,
            client_id=self.client_id,
            auth_method=self.auth_method,
            secret=self.client_secret,
            domains=self.domains,
            mapping=RoleMapping(self.role_claim, pairs, self.default_role),
            password_allowed=self.password_allowed,
        )


@looks_like(evidence="TXT record seen at two name servers on 2026-11-02.")
class DomainEvidence(Body):
    """Where and when the proof of the domain was seen, for the record."""

    evidence: Reason


@looks_like(domain="example.cn", state="claimed", proof="zhigu-domain=wK3vD0m8pX1sQ7yT")
class MailDomainView(View):
    """A domain; `proof` is the TXT record that shows the alliance whose it is."""

    domain: str
    state: DomainState
    proof: str


@looks_like(
    id=example_id("idp"),
    state="attached",
    issuer=ISSUER,
    client_id="zhigu",
    auth_method="client_secret_basic",
    client_jwk=None,
    redirect_uri="https://zhigu.example/oauth/company/callback",
    role_claim="groups",
    roles=MAPPINGS,
    default_role=None,
    password_allowed=True,
)
class IdentityProviderView(View):
    """An organisation's identity provider, without its secret.

    Register `redirect_uri` there, and `client_jwk` where there is one.
    """

    id: str
    organisation_id: str
    state: ProviderState
    issuer: str
    client_id: str
    auth_method: ProviderAuth
    client_jwk: dict[str, Any] | None
    redirect_uri: str
    domains: list[MailDomainView]
    role_claim: str | None
    roles: list[MappedRole]
    default_role: Role | None
    password_allowed: bool
    attached_at: datetime
    detached_at: datetime | None
