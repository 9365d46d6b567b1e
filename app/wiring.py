"""Wiring: the lists of tables, routes, jobs and recurring work that make up the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import sqlalchemy as sa
from litestar.types import ControllerRouterHandler

from app.accounts import models as accounts_models
from app.accounts import routes as accounts_routes
from app.accounts import tasks as accounts_tasks
from app.accounts.oauth import models as oauth_models
from app.audit import models as audit_models
from app.audit import routes as audit_routes
from app.audit import tasks as audit_tasks
from app.billing import routes as billing_routes
from app.billing import tables as billing_tables
from app.billing import tasks as billing_tasks
from app.billing.triggers import BILLING_TRIGGERS
from app.contracts import models as contracts_models
from app.contracts import routes as contracts_routes
from app.contracts import tasks as contracts_tasks
from app.db.columns import market_metadata
from app.http import models as http_models
from app.http.idempotency import forget_old_answers
from app.jobs import models as jobs_models
from app.jobs.kinds import JobKind, Recurring
from app.listings import models as listings_models
from app.listings import routes as listings_routes
from app.listings import tasks as listings_tasks
from app.metering import routes as metering_routes
from app.metering import tasks as metering_tasks
from app.metering.tables import usage_metadata
from app.metering.tally_functions import POSTGRES_FUNCTIONS
from app.reports import readiness
from app.reports import routes as reports_routes

METADATA: Mapping[str, sa.MetaData] = {"market": market_metadata, "usage": usage_metadata}

EXTRA_DDL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "market": BILLING_TRIGGERS,
    "usage": {"postgresql": POSTGRES_FUNCTIONS},
}
"""Statements beside the tables, by store and dialect: functions and triggers."""

MODELS: tuple[ModuleType, ...] = (
    jobs_models,
    http_models,
    audit_models,
    accounts_models,
    oauth_models,
    listings_models,
    contracts_models,
    billing_tables,
)
"""Every module of the market store's rows: importing it fills `market_metadata`."""

ROUTERS: tuple[ControllerRouterHandler, ...] = (
    *readiness.ROUTERS,
    *audit_routes.ROUTERS,
    *contracts_routes.ROUTERS,
    *accounts_routes.ROUTERS,
    *reports_routes.ROUTERS,
    *listings_routes.ROUTERS,
    *metering_routes.ROUTERS,
    *billing_routes.ROUTERS,
)

JOBS: tuple[JobKind, ...] = (*contracts_tasks.JOBS, *metering_tasks.JOBS, *billing_tasks.JOBS)

SCHEDULE: tuple[Recurring, ...] = (
    Recurring("idempotency.sweep", lambda _installation: 3600.0, forget_old_answers),
    *audit_tasks.SCHEDULE,
    *listings_tasks.SCHEDULE,
    *contracts_tasks.SCHEDULE,
    *metering_tasks.SCHEDULE,
    *accounts_tasks.SCHEDULE,
    *billing_tasks.SCHEDULE,
)
