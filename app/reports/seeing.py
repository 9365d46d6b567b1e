"""Who may see what the log tells."""

from __future__ import annotations

from sqlmodel import Session, col

from app.accounts.roles import Role, has_role
from app.accounts.scopes import AUDIT_READ
from app.audit.links import Link
from app.audit.models import Leaf
from app.billing.payouts.models import Payout
from app.billing.queries import visible_payouts
from app.kernel.actor import Actor
from app.reports.inspecting import Sale


def may_see_leaf(actor: Actor, leaf: Leaf) -> bool:
    """Whether a leaf is the actor's business: a party to it, or an auditor with the scope."""
    if actor.organisation_id in leaf.organisations:
        return True
    return actor.has_scope(AUDIT_READ) and has_role(actor, Role.ADMIN, Role.AUDITOR)


def shown_of(session: Session, sale: Sale) -> Sale:
    """The part of a sale that the actor may see, who is a party to it or oversees.

    What a provider is paid is not its buyers' business: they see neither payouts nor what these
    posted and what the log tells of them.
    """
    payouts = {link.id for link in sale.links if link.kind == "payout"}
    statement = visible_payouts(session).where(col(Payout.id).in_(payouts))
    hidden = payouts - {payout.id for payout in session.exec(statement)}
    hidden |= {link.id for link in sale.links if _cause(link) in hidden}
    shown = (link for link in sale.links if hidden.isdisjoint((link.id, link.facts.get("subject"))))
    return Sale(sale.contract_id, tuple(shown))


def _cause(link: Link) -> str:
    """The id that caused a transfer of the ledger."""
    return str(link.facts.get("cause", "")).partition(":")[0]
