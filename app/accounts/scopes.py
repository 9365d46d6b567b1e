"""Scopes: what a token may be used for. The names are part of the public API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LISTINGS_READ = "listings:read"
LISTINGS_WRITE = "listings:write"
CONTRACTS_READ = "contracts:read"
CONTRACTS_WRITE = "contracts:write"
CONTRACTS_SIGN = "contracts:sign"
DATA_READ = "data:read"
USAGE_READ = "usage:read"
USAGE_WRITE = "usage:write"
BILLING_READ = "billing:read"
BILLING_WRITE = "billing:write"
AUDIT_READ = "audit:read"
ORGANISATIONS_READ = "organisations:read"
ORGANISATIONS_WRITE = "organisations:write"
ADMIN = "admin"

SCOPE_MEANINGS: Mapping[str, str] = {
    LISTINGS_READ: "Read your own listings in every state.",
    LISTINGS_WRITE: "Draft, price, publish and withdraw listings.",
    CONTRACTS_READ: "Read your negotiations and contracts.",
    CONTRACTS_WRITE: "Negotiate, suspend, resume and end contracts.",
    CONTRACTS_SIGN: "Sign terms.",
    DATA_READ: "Call data under your contracts.",
    USAGE_READ: "Read what was used, and get receipts.",
    USAGE_WRITE: "Report use that was delivered elsewhere.",
    BILLING_READ: "Read invoices, payments, payouts and statements.",
    BILLING_WRITE: "Pay invoices and set up payouts.",
    AUDIT_READ: "Read the log with its proofs, and the ledger.",
    ORGANISATIONS_READ: "Read your organisation, its people, clients and keys.",
    ORGANISATIONS_WRITE: "Change your organisation, its people, clients and keys.",
    ADMIN: "Run the alliance; for the operator alone.",
}
"""What each scope lets its bearer do, as clients are told."""

SCOPES = tuple(SCOPE_MEANINGS)
"""Every scope that a client can be given, in the order in which they are shown."""

OPENID = "openid"
PROFILE = "profile"
EMAIL = "email"
OFFLINE_ACCESS = "offline_access"

PERSONAL_SCOPES = (OPENID, PROFILE, EMAIL, OFFLINE_ACCESS)
"""What a person alone can let any client do: know who they are, and go on while they are away.

They open none of the routes that ask for a scope (OpenID Connect Core §5.4, §11).
"""

TRADING_SCOPES = frozenset(SCOPES) - {ADMIN}
"""What an organisation of the alliance can be given; `admin` is the operator's alone."""


def in_order(scopes: Iterable[str]) -> list[str]:
    """`scopes`, each once, in the order in which they are shown; unknown ones are dropped."""
    wanted = set(scopes)
    return [scope for scope in (*PERSONAL_SCOPES, *SCOPES) if scope in wanted]


def scope_text(scopes: Iterable[str]) -> str:
    """`scopes` as OAuth writes them: separated by single spaces."""
    return " ".join(in_order(scopes))
