"""Who may see what the log tells."""

from __future__ import annotations

from app.accounts.roles import Role, has_role
from app.accounts.scopes import AUDIT_READ
from app.audit.models import Leaf
from app.kernel.actor import Actor


def may_see_leaf(actor: Actor, leaf: Leaf) -> bool:
    """Whether a leaf is the actor's business: a party to it, or an auditor with the scope."""
    if actor.organisation_id in leaf.organisations:
        return True
    return actor.has_scope(AUDIT_READ) and has_role(actor, Role.ADMIN, Role.AUDITOR)
