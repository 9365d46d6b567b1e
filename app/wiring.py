"""Wiring: the lists of tables, routes, jobs and recurring work that make up the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from litestar.types import ControllerRouterHandler

from app.db.columns import market_metadata
from app.http.idempotency import forget_old_answers
from app.http.models import AnsweredRequest
from app.jobs.kinds import JobKind, Recurring
from app.jobs.models import Job

METADATA: Mapping[str, sa.MetaData] = {"market": market_metadata, "usage": sa.MetaData()}

EXTRA_DDL: Mapping[str, Mapping[str, Sequence[str]]] = {"market": {}, "usage": {}}
"""Statements beside the tables, by store and dialect: functions that a driver calls."""

TABLES = (AnsweredRequest, Job)

ROUTERS: tuple[ControllerRouterHandler, ...] = ()

JOBS: tuple[JobKind, ...] = ()

SCHEDULE: tuple[Recurring, ...] = (
    Recurring("idempotency.sweep", lambda _installation: 3600.0, forget_old_answers),
)
