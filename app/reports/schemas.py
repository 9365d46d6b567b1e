"""Shapes of the reports' API."""

from __future__ import annotations

import json
from typing import Any

from app.audit.models import Leaf
from app.audit.verifying import encoded
from app.http.examples import example_id, looks_like
from app.http.schemas import View
from app.reports.inspecting import Sale


@looks_like(id=example_id("neg"), kind="negotiation", facts={"state": "FINALIZED"})
class LinkView(View):
    """One row of a sale's chain."""

    id: str
    kind: str
    facts: dict[str, Any]


class SaleView(View):
    """A sale from licence term to payout: every row that belongs to one contract."""

    contract_id: str
    links: list[LinkView]


@looks_like(id=example_id("ctr"))
class InspectionView(View):
    """What an id belongs to: one sale, or several for what sales share (a listing, a plan).

    The newest come first; `more` says that there are older ones than these.
    """

    id: str
    sales: list[SaleView]
    more: bool


def sale_view(sale: Sale) -> SaleView:
    """`sale` as it goes on the wire."""
    return SaleView(
        contract_id=sale.contract_id,
        links=[LinkView(id=link.id, kind=link.kind, facts=dict(link.facts)) for link in sale.links],
    )


@looks_like(
    id=example_id("leaf"), kind="contract:suspended", body={"reason": "预算已用完"}, number=7
)
class LeafView(View):
    """A leaf: `commitment` (hex) = SHA-256(salt ‖ canonical body); the salt is base64."""

    id: str
    number: int | None
    kind: str
    subject: str
    body: dict[str, Any]
    salt: str
    commitment: str


@looks_like(index=7, size=12)
class InclusionView(View):
    """The audit path of a leaf, RFC 6962 §2.1.1: base64 hashes from the leaf upwards."""

    index: int
    size: int
    proof: list[str]


@looks_like(from_size=7, to_size=12)
class ConsistencyView(View):
    """The proof that one tree extends another, RFC 6962 §2.1.2: base64 hashes."""

    from_size: int
    to_size: int
    proof: list[str]


def leaf_view(leaf: Leaf) -> LeafView:
    """`leaf` as it goes on the wire."""
    return LeafView(
        id=leaf.id,
        number=leaf.number,
        kind=leaf.kind,
        subject=leaf.subject_id,
        body=json.loads(leaf.body),
        salt=encoded([leaf.salt])[0],
        commitment=leaf.commitment.hex(),
    )
