"""What clients send to accounts."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.accounts.enrolling import ClientWish
from app.accounts.registering import OrganisationWish
from app.accounts.roles import Role
from app.accounts.states import AuthMethod, Decision, GrantType, OrganisationKind
from app.accounts.verifying import Evidence
from app.http.examples import looks_like
from app.http.schemas import Body, Line, Text

CreditCode = Annotated[str, Meta(pattern=r"^[0-9A-Z]{18}(?!\n)$", examples=["91350100M000100Y43"])]
RegionCode = Annotated[
    str, Meta(pattern=r"^[0-9]{6}([0-9]{3}([0-9]{3})?)?(?!\n)$", examples=["500108"])
]
Email = Annotated[
    str, Meta(pattern=r"^[^@\s\"<>,;:\\]+@[^@\s\"<>,;:\\]+(?!\n)$", min_length=3, max_length=254)
]
Phone = Annotated[str, Meta(pattern=r"^\+?[0-9 ()-]{5,25}(?!\n)$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
RedirectUri = Annotated[str, Meta(min_length=1, max_length=500)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Scope = Literal[
    "listings:read",
    "listings:write",
    "contracts:read",
    "contracts:write",
    "contracts:sign",
    "data:read",
    "usage:read",
    "usage:write",
    "billing:read",
    "billing:write",
    "audit:read",
    "organisations:read",
    "organisations:write",
    "admin",
]


@looks_like(name="张三", email="zhang@example.cn")
class Contact(Body):
    """Whom to reach."""

    name: Line | None = None
    email: Email | None = None
    phone: Phone | None = None
    address: Line | None = None

    def kept(self) -> dict[str, str]:
        """The members that say something, as the row keeps them."""
        sent: dict[str, str | None] = msgspec.to_builtins(self)
        return {name: value for name, value in sent.items() if value is not None}


@looks_like(name_en="Zhigu Example Ltd", region_code="500108")
class NewOrganisation(Body):
    """An organisation to be entered."""

    name: Line
    credit_code: CreditCode
    kind: OrganisationKind
    contact: Contact
    name_en: Line | None = None
    region_code: RegionCode | None = None

    def wish(self) -> OrganisationWish:
        """What the operation is asked for."""
        return OrganisationWish(
            name=self.name,
            credit_code=self.credit_code,
            kind=self.kind,
            contact=self.contact.kept(),
            name_en=self.name_en,
            region_code=self.region_code,
        )


@looks_like(name_en="Zhigu Example Ltd")
class OrganisationChange(Body):
    """What to change of an organisation; what is left out stays."""

    name: Line | UnsetType = UNSET
    name_en: Line | UnsetType | None = UNSET
    credit_code: CreditCode | UnsetType = UNSET
    region_code: RegionCode | UnsetType | None = UNSET
    contact: Contact | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """The members that were sent, as the row keeps them."""
        sent: dict[str, Any] = msgspec.to_builtins(self)
        if isinstance(self.contact, Contact):
            sent["contact"] = self.contact.kept()
        return sent


class Why(Body):
    """A reason, for the record."""

    reason: Reason


class Document(Body):
    """A paper that was shown, by name and hash."""

    name: Line
    sha256: Sha256


@looks_like(legal_representative="张三", note="营业执照另附。")
class VerificationRequest(Body):
    """What an organisation shows of itself."""

    legal_representative: Line | None = None
    documents: Annotated[tuple[Document, ...], Meta(max_length=20)] = ()
    note: Text | None = None

    def evidence(self) -> Evidence:
        """What the operation is asked for."""
        return Evidence(
            legal_representative=self.legal_representative,
            documents=[msgspec.to_builtins(document) for document in self.documents],
            note=self.note,
        )


@looks_like(decision="verified", expires_on="2027-11-01")
class VerificationDecision(Body):
    """What a reviewer decides; `expires_on` is the last day that it holds."""

    decision: Decision
    reason: Reason | None = None
    expires_on: date | None = None


@looks_like(name="nightly import")
class NewClient(Body):
    """A client to be made.

    `grant_types` may be left out: a client with redirect addresses then gets codes and refreshes
    them, one that can prove itself gets credentials. `jwks` are the public keys of a client that
    proves itself by `private_key_jwt`: Ed25519, P-256 or RSA, one or each with its `kid`.
    """

    name: Line
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=14)]
    auth_method: AuthMethod = AuthMethod.SECRET_BASIC
    redirect_uris: Annotated[tuple[RedirectUri, ...], Meta(max_length=10)] = ()
    roles: Annotated[tuple[Role, ...], Meta(max_length=4)] = ()
    grant_types: Annotated[tuple[GrantType, ...], Meta(max_length=4)] = ()
    jwks: dict[str, Any] | None = None

    def wish(self) -> ClientWish:
        """What the operation is asked for."""
        return ClientWish(
            name=self.name,
            scopes=self.scopes,
            auth_method=self.auth_method,
            redirect_uris=self.redirect_uris,
            roles=self.roles,
            grant_types=self.grant_types,
            jwks=self.jwks,
        )


@looks_like(name="李四", role="purchaser")
class NewMember(Body):
    """A person to join."""

    email: Email
    name: Line
    role: Role
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


@looks_like(role="signatory")
class RoleChange(Body):
    """The role that a person is to have."""

    role: Role


@looks_like(proof="eyJhbGciOiJFZDI1NTE5In0.e30.c2lnbmF0dXJl")
class NewKey(Body):
    """A signing key to be registered.

    `proof` is a compact JWS by that key with the header `{alg, kid, iat, typ}`: `alg` Ed25519 or
    EdDSA, `kid` the key's RFC 7638 thumbprint, `iat` in Unix seconds, `typ`
    `zhigu-key-proof+jws`; its payload is `{"organisation": id, "nonce": …}`.
    """

    jwk: dict[str, Any]
    proof: Annotated[str, Meta(max_length=16_384)]
