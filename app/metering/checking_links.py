"""Do the two stores say the same? Grants against what was signed, segments against their leaves.

No moment is common to both stores, so use is seen twice: once before the market store, for what
must have been signed before it was used, and once after it, for what must have arrived by then.
Read-only; names each row that breaks a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.audit.told import Told, leaves_by_id, leaves_of_kind
from app.contracts.bounds import moments_under
from app.contracts.granting import apply_key, compiled_terms
from app.contracts.signed_grants import SignedGrant, every_signed_grant, signed_grants
from app.db.session import now
from app.jobs.queue import waiting_keys
from app.kernel.clock import epoch_us
from app.metering.tables import grant_state, grant_terms, usage_segment
from app.metering.units.links import unit_link_problems

BATCH = 200
# Sealing and recording run every minute: a segment that is older than this waits for nothing.
UNRECORDED_AT_MOST = timedelta(minutes=10)

_IN_FORCE = sa.select(grant_state, grant_terms.c.terms_sha256, grant_terms.c.compiled).join(
    grant_terms,
    sa.and_(
        grant_terms.c.grant_id == grant_state.c.grant_id,
        grant_terms.c.epoch == grant_state.c.epoch,
    ),
    isouter=True,
)


def problems(before: sa.Connection, session: Session, after: sa.Connection) -> Iterator[str]:
    """Grants in force that nobody signed so, signed ones that are not in force, stray segments.

    `before` and `after` see the usage store as it was before and after `session` began.
    """
    yield from _unsigned(before, session)
    yield from _not_in_force(session, after)
    yield from _unrecorded(before, session)
    yield from _lost_segments(session, after)
    yield from unit_link_problems(before, session, after)


def _unsigned(before: sa.Connection, session: Session) -> Iterator[str]:
    states = before.execute(
        sa.select(grant_state.c.grant_id, grant_state.c.contract_id, grant_state.c.epoch)
        .order_by(grant_state.c.grant_id)
        .execution_options(yield_per=BATCH)
    )
    for batch in states.partitions():
        signed = signed_grants(session, [state.grant_id for state in batch])
        for state in batch:
            found = signed.get(state.grant_id)
            if found is None or found.contract.id != state.contract_id:
                yield f"C1: grant {state.grant_id} is in force, but was never signed"
            elif state.epoch > found.grant.epoch:
                yield f"C1: grant {state.grant_id} is in force at an epoch that it never had"


def _not_in_force(session: Session, after: sa.Connection) -> Iterator[str]:
    for batch in every_signed_grant(session):
        waiting = waiting_keys(session, [apply_key(signed.grant) for signed in batch])
        ids = [signed.grant.id for signed in batch]
        rows = after.execute(_IN_FORCE.where(grant_state.c.grant_id.in_(ids)))
        states = {row.grant_id: row for row in rows}
        for signed in batch:
            state = states.get(signed.grant.id)
            if state is not None and state.epoch >= signed.grant.epoch:
                yield from _differences(signed, state)
            elif apply_key(signed.grant) not in waiting:
                epoch = signed.grant.epoch
                yield f"C1: grant {signed.grant.id} never came into force at epoch {epoch}"


def _differences(signed: SignedGrant, state: sa.Row[Any]) -> Iterator[str]:
    """What is in force is what was signed; an epoch that has come since is checked next time."""
    name = f"C1: grant {state.grant_id}"
    contract, document = signed.contract, signed.terms.document
    starts_at, ends_at = moments_under(document)
    if (
        state.buyer_id,
        state.provider_id,
        state.listing_id,
        state.starts_at_us,
        state.ends_at_us,
    ) != (
        contract.buyer_id,
        contract.provider_id,
        contract.listing_id,
        epoch_us(starts_at),
        epoch_us(ends_at),
    ):
        yield f"{name} is not in force between those, or for as long, as was signed"
    elif state.epoch > signed.grant.epoch:
        return
    elif state.live != signed.grant.live:
        yield f"{name} is in force as {'live' if state.live else 'dead'}, which it is not"
    elif state.compiled is None or state.terms_sha256 != contract.terms_sha256:
        yield f"{name} is in force under other terms than were signed"
    else:
        wanted = compiled_terms(document)
        for member in sorted(wanted):
            if state.compiled.get(member) != wanted[member]:
                yield f"{name} is in force with another {member} than was signed"
                return


def _unrecorded(before: sa.Connection, session: Session) -> Iterator[str]:
    segments = before.execute(
        sa.select(usage_segment)
        .order_by(usage_segment.c.grant_id, usage_segment.c.first_number)
        .execution_options(yield_per=BATCH)
    )
    overdue_us = epoch_us(now(session) - UNRECORDED_AT_MOST)
    for batch in segments.partitions():
        leaves = leaves_by_id(session, [row.leaf_id for row in batch if row.leaf_id is not None])
        for row in batch:
            name = f"segment {row.first_number}–{row.last_number} of {row.grant_id}"
            if row.leaf_id is None and row.sealed_at_us < overdue_us:
                yield f"A2: {name} has had no leaf for 10 minutes"
            elif row.leaf_id is not None and not _tells(leaves.get(row.leaf_id), row):
                yield f"A2: leaf {row.leaf_id} does not tell of {name}"


def _tells(leaf: Told | None, segment: sa.Row[Any]) -> bool:
    return (
        leaf is not None
        and leaf.kind == "usage:sealed"
        and _place(leaf.facts)
        == (
            segment.grant_id,
            segment.first_number,
            segment.last_number,
            segment.root,
        )
    )


def _lost_segments(session: Session, after: sa.Connection) -> Iterator[str]:
    for batch in leaves_of_kind(session, "usage:sealed"):
        told = [_place(leaf.facts) for leaf in batch]
        kept = _segments_of(after, told)
        for grant_id, first, last, root in told:
            if (grant_id, first, last, root) not in kept:
                yield f"A2: segment {first}–{last} of {grant_id} is gone, or is not what was sealed"


def _segments_of(
    after: sa.Connection, told: Sequence[tuple[Any, ...]]
) -> frozenset[tuple[Any, ...]]:
    rows = after.execute(
        sa.select(
            usage_segment.c.grant_id,
            usage_segment.c.first_number,
            usage_segment.c.last_number,
            usage_segment.c.root,
        ).where(
            usage_segment.c.grant_id.in_({grant_id for grant_id, *_ in told}),
            usage_segment.c.root.in_({root for *_, root in told}),
        )
    )
    return frozenset(tuple(row) for row in rows)


def _place(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(facts[name] for name in ("grant_id", "first_number", "last_number", "root"))
