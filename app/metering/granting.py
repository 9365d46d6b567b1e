"""Granting: how what was signed reaches the usage store, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.db.changes import announce
from app.db.engine import is_sqlite
from app.metering.grants import CompiledGrant, compiled_from
from app.metering.tables import GRANT_TOPIC, grant_state, grant_terms


def apply_grant(connection: sa.Connection, document: Mapping[str, Any], at_us: int) -> bool:
    """Bring a compiled grant into force if its epoch is newer than the one in force, and announce
    it in the same transaction; whether it was. Counters and numbers stay as they are.

    Suspension and end come the same way: a newer epoch that is not live.
    """
    grant = compiled_from(document)
    if not _move_state(connection, grant):
        return False
    connection.execute(
        sa.insert(grant_terms).values(
            grant_id=grant.grant_id,
            epoch=grant.epoch,
            plan_id=grant.plan_id,
            version_id=grant.version_id,
            terms_sha256=grant.terms_sha256,
            compiled=dict(document),
            applied_at_us=at_us,
        )
    )
    announce(connection, GRANT_TOPIC, grant.grant_id, at_us)
    return True


def load_grant(connection: sa.Connection, grant_id: str) -> CompiledGrant | None:
    """The grant as it is in force now; None when it was never applied."""
    row = connection.execute(_IN_FORCE.where(grant_state.c.grant_id == grant_id)).one_or_none()
    return None if row is None else compiled_from(row.compiled)


def load_grants(connection: sa.Connection) -> Iterator[CompiledGrant]:
    """Every grant as it is in force now, one after the other."""
    for row in connection.execute(_IN_FORCE.execution_options(yield_per=500)):
        yield compiled_from(row.compiled)


_IN_FORCE = sa.select(grant_terms.c.compiled).join(
    grant_state,
    sa.and_(
        grant_state.c.grant_id == grant_terms.c.grant_id,
        grant_state.c.epoch == grant_terms.c.epoch,
    ),
)


def _move_state(connection: sa.Connection, grant: CompiledGrant) -> bool:
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    moving = {
        "epoch": grant.epoch,
        "live": grant.live,
        "starts_at_us": grant.starts_at_us,
        "ends_at_us": grant.ends_at_us,
    }
    moved = connection.execute(
        insert(grant_state)
        .values(
            grant_id=grant.grant_id,
            contract_id=grant.contract_id,
            listing_id=grant.listing_id,
            buyer_id=grant.buyer_id,
            provider_id=grant.provider_id,
            **moving,
        )
        .on_conflict_do_update(
            index_elements=["grant_id"], set_=moving, where=grant_state.c.epoch < grant.epoch
        )
        .returning(grant_state.c.epoch)
    )
    return moved.scalar_one_or_none() is not None
