"""Scopes: what a token may be used for. The names are part of the public API."""

from __future__ import annotations

from collections.abc import Iterable

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

SCOPES = (
    LISTINGS_READ,
    LISTINGS_WRITE,
    CONTRACTS_READ,
    CONTRACTS_WRITE,
    CONTRACTS_SIGN,
    DATA_READ,
    USAGE_READ,
    USAGE_WRITE,
    BILLING_READ,
    BILLING_WRITE,
    AUDIT_READ,
    ORGANISATIONS_READ,
    ORGANISATIONS_WRITE,
    ADMIN,
)
"""Every scope, in the order in which they are shown."""

TRADING_SCOPES = frozenset(SCOPES) - {ADMIN}
"""What an organisation of the alliance can be given; `admin` is the operator's alone."""


def in_order(scopes: Iterable[str]) -> list[str]:
    """`scopes`, each once, in the order in which they are shown; unknown ones are dropped."""
    wanted = set(scopes)
    return [scope for scope in SCOPES if scope in wanted]


def scope_text(scopes: Iterable[str]) -> str:
    """`scopes` as OAuth writes them: separated by single spaces."""
    return " ".join(in_order(scopes))
