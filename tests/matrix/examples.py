"""Examples: a well-formed body for each operation that takes one, and its query where one is due.

A new operation with a JSON body needs an entry: the matrices break its body in every way and must
know that it is the breaking which is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.kernel.ids import new_id
from tests.listings.examples import complete_metadata, licence_terms, per_unit_plan

REASON = {"reason": "为了记录"}
TERMS_CHANGE = {"liability": "各自承担。"}
SIGNATURE = {"signature": "eyJhbGciOiJFZDI1NTE5In0..c2lnbmF0dXJl"}

BODIES: Mapping[str, Any] = {
    "PATCH /api/v1/listings/{listing_id}": {"metadata": {"abstract": "改"}},
    "PATCH /api/v1/organisations/{organisation_id}": {"name_en": "Renamed"},
    "POST /api/v1/alliance/charter": {
        "text": "第一条 本联盟名称为数据有偿使用联盟。",
        "effective_on": "2026-12-01",
        "voting": {
            "voting_roles": ["MEMBER"],
            "quorum": {"numerator": 1, "denominator": 2},
            "majority": {"numerator": 1, "denominator": 2},
        },
    },
    "POST /api/v1/alliance/members": {
        "organisation_id": new_id("org"),
        "role": "MEMBER",
        "from": "2026-11-02",
        "until": "2028-11-02",
    },
    "POST /api/v1/alliance/members/{seat_id}/end": REASON,
    "POST /api/v1/contracts/{contract_id}/end": REASON,
    "POST /api/v1/contracts/{contract_id}/suspend": REASON,
    "POST /api/v1/contracts/{contract_id}/unit-grants": {"kind": "goodwill", "units": 5},
    "POST /api/v1/invoices/{invoice_id}/pay": {"method": "stripe"},
    "POST /api/v1/listings": {
        "slug": "an-example",
        "delivery": "hosted",
        "metadata": complete_metadata(),
    },
    "POST /api/v1/listings/{listing_id}/delist": REASON,
    "POST /api/v1/listings/{listing_id}/plans": per_unit_plan(name="another"),
    "POST /api/v1/listings/{listing_id}/review": {
        "decision": "correct",
        "reason": "材料不全",
        "basis": "数据安全法",
    },
    "POST /api/v1/listings/{listing_id}/suspend": REASON,
    "POST /api/v1/negotiations": {
        "listing_id": new_id("lst"),
        "plan_id": new_id("pln"),
        "purpose": "RESEARCH",
        "channel": "hosted",
        "starts_on": "2026-11-02",
        "ends_on": "2027-11-01",
    },
    "POST /api/v1/negotiations/{negotiation_id}/agree": SIGNATURE,
    "POST /api/v1/negotiations/{negotiation_id}/counter": TERMS_CHANGE,
    "POST /api/v1/negotiations/{negotiation_id}/offer": TERMS_CHANGE,
    "POST /api/v1/negotiations/{negotiation_id}/terminate": REASON,
    "POST /api/v1/negotiations/{negotiation_id}/verify": SIGNATURE,
    "POST /api/v1/organisations": {
        "name": "示例有限公司",
        "credit_code": "91350100M000100Y43",
        "kind": "enterprise",
        "contact": {"name": "张三", "email": "zhang@example.cn"},
    },
    "POST /api/v1/me/password": {
        "present": "correct horse battery",
        "wanted": "staple of a longer sort",
    },
    "POST /api/v1/organisations/{organisation_id}/clients": {
        "name": "program",
        "scopes": ["contracts:read"],
    },
    "POST /api/v1/organisations/{organisation_id}/keys": {
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "proof": "eyJhbGciOiJFZDI1NTE5In0.e30.c2lnbmF0dXJl",
    },
    "POST /api/v1/organisations/{organisation_id}/members": {
        "email": "example@example.cn",
        "name": "王五",
        "role": "viewer",
        "password": "correct horse battery",
    },
    "POST /api/v1/organisations/{organisation_id}/members/{person_id}/roles": {"role": "owner"},
    "POST /api/v1/organisations/{organisation_id}/resume": REASON,
    "POST /api/v1/organisations/{organisation_id}/suspend": REASON,
    "POST /api/v1/organisations/{organisation_id}/verification": {"note": "续期"},
    "POST /api/v1/organisations/{organisation_id}/verification/decision": {
        "decision": "rejected",
        "reason": "材料不全",
    },
    # An address that the guard refuses: nothing is asked of anybody.
    "PUT /api/v1/organisations/{organisation_id}/identity-provider": {
        "issuer": "https://127.0.0.1",
        "client_id": "zhigu",
        "client_secret": "hush-hush",
        "domains": ["example.cn"],
        "default_role": "viewer",
    },
    "POST /api/v1/organisations/{organisation_id}/identity-provider/domains/{domain}/confirm": {
        "evidence": "TXT record seen."
    },
    "PUT /api/v1/listings/{listing_id}/licence": licence_terms(),
    "PUT /api/v1/listings/{listing_id}/upstream": {
        "base_url": "https://93.184.215.14/v1",
        "auth": {"kind": "header", "name": "X-Api-Key", "secret": "hush"},
    },
}

QUERIES: Mapping[str, Mapping[str, str]] = {
    "GET /api/v1/listings/{listing_id}/plans/{plan_id}/quote": {"units": "100"},
    "GET /api/v1/billing/preview": {"contract_id": new_id("ctr")},
    "GET /api/v1/usage/windows": {"contract_id": new_id("ctr")},
    "GET /audit/consistency": {"from": "1", "to": "2"},
    "GET /audit/proof": {"index": "0", "size": "1"},
    "GET /audit/trail": {"subject": new_id("ctr")},
}
"""The query parameters that an operation cannot do without."""
