"""Roles: what each may do, in one table.

A person has one role. A program has the scopes that it was given; a program of the operator may
also carry alliance roles, which decide over others (a review, for one).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.accounts import scopes as s
from app.kernel.actor import Actor
from app.kernel.refusals import NotAllowed


class Role(StrEnum):
    """What somebody is in an organisation, or in the alliance."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    PURCHASER = "purchaser"
    SIGNATORY = "signatory"
    FINANCE = "finance"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    ADMIN = "admin"
    REVIEWER = "reviewer"
    SIGNER = "signer"
    AUDITOR = "auditor"


ALLIANCE_ROLES = frozenset({Role.ADMIN, Role.REVIEWER, Role.SIGNER, Role.AUDITOR})
"""Roles over the whole alliance: only the operator's own people and programs hold them."""

OVERSEERS = frozenset({Role.ADMIN, Role.REVIEWER, Role.AUDITOR})
"""Those who may see the organisations of others."""

_VIEW = frozenset(
    {s.LISTINGS_READ, s.CONTRACTS_READ, s.USAGE_READ, s.BILLING_READ, s.ORGANISATIONS_READ}
)

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    Role.OWNER: s.TRADING_SCOPES,
    Role.PUBLISHER: _VIEW | {s.LISTINGS_WRITE, s.CONTRACTS_WRITE, s.USAGE_WRITE},
    Role.PURCHASER: _VIEW | {s.CONTRACTS_WRITE, s.DATA_READ},
    Role.SIGNATORY: _VIEW | {s.CONTRACTS_WRITE, s.CONTRACTS_SIGN},
    Role.FINANCE: _VIEW | {s.BILLING_WRITE},
    Role.DEVELOPER: _VIEW | {s.DATA_READ, s.USAGE_WRITE},
    Role.VIEWER: _VIEW,
    Role.ADMIN: frozenset(s.SCOPES),
    Role.REVIEWER: _VIEW | {s.LISTINGS_WRITE, s.ORGANISATIONS_WRITE, s.AUDIT_READ},
    Role.SIGNER: _VIEW | {s.CONTRACTS_WRITE},
    Role.AUDITOR: _VIEW | {s.AUDIT_READ},
}
"""The scopes that a person of each role may hand to a client."""


def has_role(actor: Actor, *roles: Role) -> bool:
    """Whether the actor holds one of `roles`."""
    return any(role.value in actor.roles for role in roles)


def must_have_role(actor: Actor, *roles: Role) -> None:
    """Refuse with `NotAllowed` an actor that holds none of `roles`."""
    if not has_role(actor, *roles):
        wanted = sorted(role.value for role in roles)
        raise NotAllowed(f"This takes the role {' or '.join(wanted)}.", roles=wanted)


def is_admin(actor: Actor) -> bool:
    """Whether the actor acts as the alliance's administrator: by role and by token."""
    return has_role(actor, Role.ADMIN) and actor.has_scope(s.ADMIN)
