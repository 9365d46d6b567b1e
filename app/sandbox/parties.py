"""Parties of the demo: organisations that are made, verified and given keys over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.kernel.canonical import canonical
from app.kernel.jwk import SigningKey
from app.kernel.jws import KEY_PROOF_TYPE, sign_compact
from app.sandbox.http_client import Client

API = "/api/v1"

PROVIDER_SCOPES = (
    "listings:read listings:write contracts:read contracts:write contracts:sign "
    "usage:read usage:write billing:read billing:write organisations:read organisations:write"
)
BUYER_SCOPES = (
    "listings:read contracts:read contracts:write contracts:sign data:read usage:read "
    "billing:read billing:write organisations:read"
)


@dataclass(frozen=True)
class NewParty:
    """What an organisation of the demo is made of."""

    name: str
    name_en: str
    credit_code: str
    scopes: str
    kind: str = "enterprise"


@dataclass(frozen=True)
class Party:
    """An organisation that can act: its client and its signing key."""

    organisation_id: str
    name: str
    client_id: str
    client_secret: str
    client: Client
    key: SigningKey


def create_party(
    admin: Client, reviewer: Client, new: NewParty, key: SigningKey, at: datetime
) -> Party:
    """An organisation, its first client, its verification and its registered signing key."""
    made = admin.post(
        f"{API}/organisations",
        {
            "name": new.name,
            "name_en": new.name_en,
            "credit_code": new.credit_code,
            "kind": new.kind,
            "region_code": "500108",
            "contact": {"name": "演示", "email": "demo@zhigu.example"},
        },
    )
    organisation_id = made["id"]
    given = admin.post(
        f"{API}/organisations/{organisation_id}/clients",
        {"name": "demo", "scopes": new.scopes.split(), "auth_method": "client_secret_basic"},
    )
    client = Client(admin.base_url, given["client_id"], given["client_secret"])
    path = f"{API}/organisations/{organisation_id}"
    admin.post(f"{path}/verification", {"documents": []})
    reviewer.post(f"{path}/verification/decision", {"decision": "verified"})
    party = Party(
        organisation_id, new.name, given["client_id"], given["client_secret"], client, key
    )
    register_key(party, admin, at)
    return party


def register_key(party: Party, registrar: Client, at: datetime) -> str:
    """Register the party's public key by proving that it holds the private one; the key's id."""
    path = f"{API}/organisations/{party.organisation_id}/keys"
    nonce = registrar.post(f"{path}/nonce")["nonce"]
    proof = sign_compact(
        party.key,
        canonical({"organisation": party.organisation_id, "nonce": nonce}),
        typ=KEY_PROOF_TYPE,
        at=at,
    )
    answer = registrar.post(path, {"jwk": party.key.public.jwk, "proof": proof})
    return str(answer["id"])
