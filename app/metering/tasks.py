"""Work of metering beside requests: grants into force, events under seal, old keys forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from app.contracts.granting import APPLY, REFRESH, compiled_grant
from app.contracts.granting_units import CARRY, compiled_units
from app.contracts.queries import burnable_units
from app.db.changes import forget_changes
from app.db.installation import Installation
from app.db.session import now
from app.jobs.kinds import JobKind, Lane, Recurring
from app.kernel.actor import job_actor
from app.metering.granting import apply_grant
from app.metering.history.archiving import archive_due
from app.metering.history.partitions import make_months_ahead
from app.metering.history.segments import seal_due
from app.metering.history.totals import total_due
from app.metering.tables import usage_key
from app.metering.units.carrying import carry_units
from app.metering.units.unit_grants import GrantedUnits, apply_unit_grants
from app.metering.usage.noticing import NOTICES, notice_due

SWEEP_EVERY_S = 600.0
NOTICES_EVERY_S = 10.0
MONTHS_EVERY_S = 3600.0
ARCHIVE_EVERY_S = 3600.0
CHANGES_KEPT_US = 24 * 3600 * 1_000_000


def apply(installation: Installation, payload: Mapping[str, Any]) -> None:
    """Bring a grant into force as its contract now stands, and the units granted beside its quotas;
    a repeat changes nothing.

    Reads the newest state whatever the job was enqueued for, so jobs may come in any order.
    """
    with installation.transaction(job_actor(APPLY), writes=False) as session:
        document = compiled_grant(session, payload["grant_id"])
        found = burnable_units(session, payload["grant_id"], now(session))
        units = msgspec.convert([compiled_units(one) for one in found], list[GrantedUnits])
    with installation.usage_transaction() as connection:
        apply_grant(connection, document, installation.clock.now_us())
        apply_unit_grants(connection, payload["grant_id"], units)


def sweep(installation: Installation) -> None:
    """Forget Idempotency-Keys that have expired, and changes that every worker has seen."""
    now_us = installation.clock.now_us()
    with installation.usage_transaction() as connection:
        connection.execute(sa.delete(usage_key).where(usage_key.c.expires_at_us <= now_us))
        forget_changes(connection, now_us - CHANGES_KEPT_US)


# A suspension that was never applied would be a right that nobody can take away.
JOBS = (
    JobKind(APPLY, apply, lane=Lane.FAST, max_attempts=None, longest_pause_s=2),
    JobKind(REFRESH, apply, max_attempts=None, longest_pause_s=60),
    JobKind(CARRY, carry_units, max_attempts=None, longest_pause_s=60),
)

SCHEDULE = (
    Recurring("usage.seal", lambda installation: installation.settings.seal_every_s, seal_due),
    Recurring("usage.total", lambda installation: installation.settings.seal_every_s, total_due),
    Recurring("usage.archive", lambda _installation: ARCHIVE_EVERY_S, archive_due),
    Recurring(NOTICES, lambda _installation: NOTICES_EVERY_S, notice_due),
    Recurring("usage.months", lambda _installation: MONTHS_EVERY_S, make_months_ahead),
    Recurring("usage.sweep", lambda _installation: SWEEP_EVERY_S, sweep),
)
