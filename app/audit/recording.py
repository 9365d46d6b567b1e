"""Recording: a leaf beside every change, in the change's own transaction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from app.audit.commitments import SALT_BYTES, commitment_of
from app.audit.models import Leaf
from app.db.engine import is_sqlite
from app.db.session import actor_of, now
from app.kernel.canonical import canonical
from app.kernel.clock import rfc3339
from app.kernel.ids import LeafId, new_id


def record(
    session: Session,
    kind: str,
    subject_id: str,
    /,
    *,
    organisations: Sequence[str] = (),
    dedupe_key: str | None = None,
    **facts: Any,
) -> LeafId:
    """Record that `kind` (such as `contract:signed`) happened to the row `subject_id`.

    `organisations` are those whose business it is; `facts` are canonical JSON values. With a
    `dedupe_key` a repeated job records once. The leaf gets its number after the commit.
    """
    actor = actor_of(session)
    leaf_id = LeafId(new_id("leaf"))
    moment = now(session)
    body = canonical(
        {
            "id": leaf_id,
            "kind": kind,
            "subject": subject_id,
            "actor": {
                "kind": actor.kind.value,
                "id": actor.id,
                "organisation": actor.organisation_id,
            },
            "at": rfc3339(moment),
            "organisations": sorted(set(organisations)),
            "facts": facts,
        }
    )
    salt = os.urandom(SALT_BYTES)
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(
        insert(Leaf)
        .values(
            id=leaf_id,
            number=None,
            kind=kind,
            subject_id=subject_id,
            organisations=sorted(set(organisations)),
            recorded_at=moment,
            dedupe_key=dedupe_key,
            body=body.decode(),
            salt=salt,
            commitment=commitment_of(salt, body),
        )
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
    )
    if dedupe_key is not None:
        recorded = session.exec(select(Leaf.id).where(Leaf.dedupe_key == dedupe_key)).one()
        return LeafId(recorded)
    return leaf_id


def was_recorded(session: Session, dedupe_key: str) -> bool:
    """Whether something was recorded under this key before."""
    found = session.exec(select(Leaf.id).where(Leaf.dedupe_key == dedupe_key)).first()
    return found is not None
