"""Work of contracts beside requests: what changed below the grants, and what the calendar ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.contracts.ending import AT_ONCE, expire_contracts
from app.contracts.granting import refresh_grants
from app.db.installation import Installation
from app.jobs.kinds import JobKind, Recurring
from app.kernel.actor import job_actor
from app.listings.attaching import UPSTREAM_CHANGED

EXPIRE_EVERY_S = 30.0


def expire_due(installation: Installation) -> None:
    """Expire every contract whose last day is over. Calls stop on time without it: metering checks
    the dates itself; this ends the contract for billing and for people.
    """
    while True:
        with installation.transaction(job_actor("contracts.expire")) as session:
            count = expire_contracts(session)
        if count < AT_ONCE:
            return


def follow_upstream(installation: Installation, payload: Mapping[str, Any]) -> None:
    """Tell metering of a new credential or limit; a repeat is one epoch more, and harmless.

    Some contracts at a time: nobody who suspends or ends one waits for all of a popular listing.
    """
    last: str | None = ""
    while last is not None:
        with installation.transaction(job_actor(UPSTREAM_CHANGED)) as session:
            last = refresh_grants(session, payload["listing_id"], last)


# Not in the fast lane: access that is cut must not wait for it.
JOBS = (JobKind(UPSTREAM_CHANGED, follow_upstream),)

SCHEDULE = (Recurring("contracts.expire", lambda _installation: EXPIRE_EVERY_S, expire_due),)
