"""Views with all that hangs on them, read in a fixed number of queries however long the list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sqlmodel import Session

from app.contracts.models import Contract, Negotiation
from app.contracts.queries import (
    contract_from,
    grants_of,
    holds_on,
    newest_terms,
    signatures_under,
    terms_by_hash,
)
from app.contracts.schemas import (
    ContractView,
    NegotiationView,
    contract_view,
    negotiation_view,
)

Row = TypeVar("Row")


def show_negotiation(session: Session, negotiation: Negotiation) -> NegotiationView:
    """One negotiation as it is shown."""
    return show_negotiations(session, [negotiation])[0]


def show_negotiations(session: Session, rows: Sequence[Negotiation]) -> list[NegotiationView]:
    """Negotiations as they are shown, in their order."""
    terms = newest_terms(session, rows)
    hashes = [version.sha256 for version in terms.values()]
    signatures = _grouped(signatures_under(session, hashes), lambda row: row.terms_sha256)
    contracts = contract_from(session, [row.id for row in rows])
    return [
        negotiation_view(
            row, terms[row.id], signatures[terms[row.id].sha256], contracts.get(row.id)
        )
        for row in rows
    ]


def show_contract(session: Session, contract: Contract) -> ContractView:
    """One contract as it is shown."""
    return show_contracts(session, [contract])[0]


def show_contracts(session: Session, rows: Sequence[Contract]) -> list[ContractView]:
    """Contracts as they are shown, in their order."""
    ids = [row.id for row in rows]
    hashes = [row.terms_sha256 for row in rows]
    terms = terms_by_hash(session, hashes)
    signatures = _grouped(signatures_under(session, hashes), lambda row: row.terms_sha256)
    grants = _grouped(grants_of(session, ids), lambda row: row.contract_id)
    holds = _grouped(holds_on(session, ids), lambda row: row.contract_id)
    return [
        contract_view(
            row,
            terms[row.terms_sha256],
            signatures[row.terms_sha256],
            grants[row.id],
            holds[row.id],
        )
        for row in rows
    ]


def _grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> defaultdict[str, list[Row]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
