"""Readiness: whether this server should be given traffic."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.db.migrating import is_current
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.draining import is_draining
from app.http.examples import looks_like
from app.http.schemas import View
from app.kernel.clock import Clock

APART_MAX_S = 5.0


@looks_like(missing=[])
class ReadinessView(View):
    """What stands between this server and traffic; `ready` when nothing does."""

    ready: bool
    missing: list[str]


# Who asks is not looked up: a token must not cost the answer when the store is away.
TO_ANYBODY = {"no_transaction": True, "own_authentication": True}
ALIVE = Documented(
    gives={JSON: Sample({"alive": True}, dict[str, bool])}, answer="The process answers."
)


@get(
    "/livez",
    sync_to_thread=False,
    opt={**TO_ANYBODY, "documented": ALIVE},
    tags=["Operations"],
    security=[],
)
def livez() -> dict[str, bool]:
    """Whether the process answers at all; touches nothing."""
    return {"alive": True}


@get(
    "/readyz",
    sync_to_thread=True,
    opt=TO_ANYBODY,
    tags=["Operations"],
    security=[],
    responses={503: ResponseSpec(ReadinessView, description="Not ready; `missing` says why.")},
)
def readyz(installation: NamedDependency[Installation]) -> Response[ReadinessView]:
    """Whether this server should be given traffic.

    Both stores answer, are migrated and agree with us what time it is, and no stop is under way.
    """
    missing = list(_missing(installation))
    view = ReadinessView(ready=not missing, missing=missing)
    return Response(
        view, status_code=503 if missing else 200, headers={"Cache-Control": "no-store"}
    )


def _missing(installation: Installation) -> list[str]:
    found = ["draining"] if is_draining() else []
    stores: dict[Any, Any] = {"market": installation.market, "usage": installation.usage}
    for name, engine in stores.items():
        try:
            with engine.connect() as connection:
                apart_s = _seconds_apart(connection, installation.clock)
            if apart_s > APART_MAX_S:
                found.append(f"{name} store's clock is {apart_s:.0f} s away from ours")
            if not is_current(engine, name):
                found.append(f"{name} store is not migrated")
        except SQLAlchemyError:
            found.append(f"{name} store is away")
    return found


def _seconds_apart(connection: Connection, clock: Clock) -> float:
    """How far the store's clock is from ours at least, whatever the question took; SQLite has ours.

    Windows go by the clock of the server that settles: one that runs off counts in another day.
    """
    if is_sqlite(connection):
        connection.execute(text("SELECT 1"))
        return 0.0
    asked_at = clock.now()
    theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    apart = max(asked_at - theirs, theirs - clock.now())
    return max(0.0, apart.total_seconds())


ROUTERS = (livez, readyz)
