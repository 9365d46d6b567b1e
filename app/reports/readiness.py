"""Readiness: whether this server should be given traffic."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.installation import Installation
from app.db.migrating import is_current
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.draining import is_draining
from app.http.examples import looks_like
from app.http.schemas import View


@looks_like(missing=[])
class ReadinessView(View):
    """What stands between this server and traffic; `ready` when nothing does."""

    ready: bool
    missing: list[str]


# Who asks is not looked up: a token must not cost the answer when the store is away.
TO_ANYBODY = {"no_transaction": True, "own_authentication": True}
ALIVE = Documented(gives={JSON: Sample({"alive": True}, dict[str, bool])})


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
    """Whether both stores answer and are migrated, and the server is not draining."""
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
                connection.execute(text("SELECT 1"))
            if not is_current(engine, name):
                found.append(f"{name} store is not migrated")
        except SQLAlchemyError:
            found.append(f"{name} store is away")
    return found


ROUTERS = (livez, readyz)
