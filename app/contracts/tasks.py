"""Work of contracts beside requests: the calendar ends what nobody ended."""

from __future__ import annotations

from app.contracts.ending import AT_ONCE, expire_contracts
from app.db.installation import Installation
from app.jobs.kinds import Recurring
from app.kernel.actor import job_actor

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


SCHEDULE = (Recurring("contracts.expire", lambda _installation: EXPIRE_EVERY_S, expire_due),)
