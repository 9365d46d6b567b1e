"""Who did what, with proofs: the questions about the log and the chain that ask who you are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import Connection
from sqlmodel import Session, col

from app.audit.errors import NotYetSealed
from app.audit.queries import leaf_numbered, prove_consistency, prove_inclusion, trail
from app.audit.verifying import encoded
from app.contracts.models import Contract
from app.contracts.queries import visible_contracts
from app.db.installation import Installation
from app.http.documented import Documented
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor
from app.http.schemas import Page
from app.kernel.actor import Actor
from app.kernel.refusals import RowNotFound
from app.reports.inspecting import inspect_sale, sales_of
from app.reports.schemas import (
    ConsistencyView,
    InclusionView,
    InspectionView,
    LeafView,
    SaleView,
    leaf_view,
    sale_view,
)
from app.reports.seeing import may_see_leaf, shown_of

MAX_SALES = 20
AT_ONCE = 500
TAGS = ["Audit"]
READS = needs("audit:read", "contracts:read", "admin")
ABOUT_TREES = {"documented": Documented(refuses=(RowNotFound, NotYetSealed))}


@get("/api/v1/inspect/{any_id:str}", sync_to_thread=True, tags=TAGS, guards=[READS])
def inspect(
    any_id: FromPath[str],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> InspectionView:
    """The sale that an id belongs to, from its licence and signatures to its payout.

    A buyer sees it up to its payment: what the provider is paid is not its business. What sales
    share (a listing, a plan) belongs to many: the newest are shown.
    """
    with installation.usage_transaction(writes=False) as usage:
        sales = list(islice(_sales(session, usage, any_id), MAX_SALES + 1))
    if not sales:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return InspectionView(id=any_id, sales=sales[:MAX_SALES], more=len(sales) > MAX_SALES)


def _sales(session: Session, usage: Connection, any_id: str) -> Iterator[SaleView]:
    """The sales of an id that the actor may see, the newest first, read as they are asked for."""
    contract_ids = sorted(set(sales_of(session, usage, any_id)), reverse=True)
    for start in range(0, len(contract_ids), AT_ONCE):
        some = col(Contract.id).in_(contract_ids[start : start + AT_ONCE])
        visible = visible_contracts(session).where(some).order_by(col(Contract.id).desc())
        for contract in session.exec(visible).all():
            sale = inspect_sale(session, usage, contract.id, any_id)
            shown = shown_of(session, sale)
            if any_id not in sale.ids - shown.ids:
                yield sale_view(shown)


@get("/audit/leaves/{number:int}", sync_to_thread=True, tags=TAGS, guards=[READS])
def get_leaf(
    number: FromPath[int], session: NamedDependency[Session], actor: NamedDependency[Actor]
) -> LeafView:
    """One leaf, with the body and salt that its commitment is made of."""
    leaf = leaf_numbered(session, number)
    if not may_see_leaf(actor, leaf):
        raise RowNotFound("The log has no leaf of this number.")
    return leaf_view(leaf)


@get("/audit/trail", sync_to_thread=True, tags=TAGS, guards=[READS])
def get_trail(
    subject: FromQuery[str],
    session: NamedDependency[Session],
    actor: NamedDependency[Actor],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[LeafView]:
    """Who did what to one row, the oldest first; only the leaves that are your business."""
    after = "" if cursor is None else decode_cursor(cursor)
    yours = (leaf for leaf in trail(session, subject, after) if may_see_leaf(actor, leaf))
    found = list(islice(yours, limit + 1))
    more = len(found) > limit
    return Page(
        items=[leaf_view(leaf) for leaf in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].id) if more else None,
    )


@get("/audit/proof", sync_to_thread=True, tags=TAGS, guards=[READS], opt=ABOUT_TREES)
def get_proof(
    index: FromQuery[int], size: FromQuery[int], session: NamedDependency[Session]
) -> InclusionView:
    """The audit path of leaf `index` in the tree of `size`; hashes in base64, leaf to root."""
    proof = prove_inclusion(session, index, size)
    return InclusionView(index=index, size=size, proof=encoded(proof))


@get("/audit/consistency", sync_to_thread=True, tags=TAGS, guards=[READS], opt=ABOUT_TREES)
def get_consistency(
    from_size: Annotated[int, QueryParameter(name="from")],
    to_size: Annotated[int, QueryParameter(name="to")],
    session: NamedDependency[Session],
) -> ConsistencyView:
    """The proof that the tree of size `to` begins with the tree of size `from`."""
    proof = prove_consistency(session, from_size, to_size)
    return ConsistencyView(from_size=from_size, to_size=to_size, proof=encoded(proof))


ROUTERS = (inspect, get_leaf, get_trail, get_proof, get_consistency)
