"""Exporting receipts: what `zhigu verify` reads without us."""

from __future__ import annotations

import json

from sqlmodel import Session

from app.audit.queries import prove_inclusion, sealed_leaf
from app.audit.verifying import FORMAT, LeafPart, Receipt, SegmentPart, encoded, receipt_bytes


def export_receipt(session: Session, leaf_id: str, segment: SegmentPart | None = None) -> bytes:
    """The receipt of a leaf, with a usage event of its segment if one is given.

    Refuses with `NotYetSealed` while no checkpoint covers the leaf.
    """
    leaf, checkpoint = sealed_leaf(session, leaf_id)
    assert leaf.number is not None, "a sealed leaf has its number"
    proof = prove_inclusion(session, leaf.number, checkpoint.size)
    part = LeafPart(
        body=json.loads(leaf.body),
        salt=encoded([leaf.salt])[0],
        number=leaf.number,
        proof=encoded(proof),
    )
    return receipt_bytes(
        Receipt(format=FORMAT, leaf=part, checkpoint=checkpoint.note, segment=segment)
    )
