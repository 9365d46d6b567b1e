"""The inspector: from any id of a sale to the whole of it, from licence term to payout and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlmodel import Session

from app.audit import links as audit_links
from app.audit.links import Link
from app.billing import links as billing_links
from app.contracts import links as contracts_links
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.ids import kind_of
from app.kernel.refusals import RowNotFound
from app.metering import links as metering_links

# What several sales may share: their leaves tell of more than this one.
SHARED_KINDS = frozenset({"buyer", "provider", "listing", "version", "plan"})


@dataclass(frozen=True)
class Sale:
    """One sale: its contract and every row that hangs on it, in the order of the chain."""

    contract_id: str
    links: tuple[Link, ...]

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the chain."""
        return frozenset(link.id for link in self.links)


def sales_of(session: Session, usage: Connection, any_id: str) -> Sequence[str]:
    """The contracts that `any_id` belongs to: one, or several for what sales share.

    Refuses with `RowNotFound` what belongs to none. Says nothing about who may see them.
    """
    kind = kind_of(any_id)
    if kind == "leaf":
        subject = audit_links.subject_of(session, any_id)
        if subject is None or subject == any_id:
            raise RowNotFound("There is no such thing, or it is not yours.")
        return sales_of(session, usage, subject)
    found: Sequence[str]
    if kind in billing_links.KINDS:
        found = billing_links.contracts_of(session, any_id)
    else:
        evt = metering_links.contract_of(usage, any_id) if kind == "evt" else None
        one = evt or contracts_links.contract_of(session, any_id)
        found = [one] if one else contracts_links.contracts_with(session, any_id)
    if not found:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return found


def inspect_sale(session: Session, usage: Connection, contract_id: str, asked: str) -> Sale:
    """Everything that belongs to one contract; of very many calls the first, and the one asked."""
    return Sale(contract_id, tuple(_links(session, usage, contract_id, asked)))


def inspect_any(installation: Installation, any_id: str) -> list[Sale]:
    """Every sale that `any_id` belongs to, as the operator sees it; `RowNotFound` for none."""
    with (
        installation.transaction(OPERATOR, writes=False) as session,
        installation.usage_transaction(writes=False) as usage,
    ):
        contracts = sales_of(session, usage, any_id)
        return [inspect_sale(session, usage, contract_id, any_id) for contract_id in contracts]


def _links(session: Session, usage: Connection, contract_id: str, asked: str) -> Iterator[Link]:
    links = [
        *contracts_links.links_of(session, contract_id),
        *metering_links.links_of(usage, contract_id, asked),
        *billing_links.links_of(session, contract_id),
    ]
    yield from links
    own = {link.id for link in links if link.kind not in SHARED_KINDS | {"usage event"}}
    yield from audit_links.leaves_about(session, own)
