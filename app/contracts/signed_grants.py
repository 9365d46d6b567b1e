"""Signed grants: each with its contract and terms, for those who check what is in force."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col

from app.contracts.models import Contract, DataGrant, TermsVersion

BATCH = 200


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A grant as its contract now stands, and the terms that both have signed."""

    grant: DataGrant
    contract: Contract
    terms: TermsVersion


def signed_grants(session: Session, grant_ids: Collection[str]) -> dict[str, SignedGrant]:
    """These grants by their ids; those that were never signed are left out."""
    rows = session.execute(_SIGNED.where(col(DataGrant.id).in_(grant_ids)))
    return {row[0].id: SignedGrant(*row) for row in rows}


def every_signed_grant(session: Session) -> Iterator[Sequence[SignedGrant]]:
    """All of them, some at a time, by their ids."""
    rows = session.execute(_SIGNED.order_by(col(DataGrant.id)).execution_options(yield_per=BATCH))
    for batch in rows.partitions():
        yield [SignedGrant(*row) for row in batch]


_SIGNED: sa.Select[DataGrant, Contract, TermsVersion] = (
    sa.select(DataGrant, Contract, TermsVersion)
    .join(Contract, col(Contract.id) == col(DataGrant.contract_id))
    .join(TermsVersion, col(TermsVersion.sha256) == col(Contract.terms_sha256))
)
