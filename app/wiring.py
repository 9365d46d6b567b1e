"""Wiring: the lists of tables, routes, jobs and recurring work that make up the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import sqlalchemy as sa
from litestar.types import ControllerRouterHandler

from app.accounts import models as accounts_models
from app.accounts import routes as accounts_routes
from app.accounts import tasks as accounts_tasks
from app.accounts.alliance import models as alliance_models
from app.accounts.alliance.triggers import SEAT_TRIGGERS
from app.accounts.identity_providers import models as identity_models
from app.accounts.oauth import models as oauth_models
from app.accounts.people import models as people_models
from app.accounts.scopes import SCOPE_MEANINGS
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
from app.db.sealed import SealedColumn, sealed_columns
from app.http import models as http_models
from app.http.documented import ApiParts
from app.http.idempotency import forget_old_answers
from app.jobs import models as jobs_models
from app.jobs.kinds import JobKind, Recurring
from app.listings import models as listings_models
from app.listings import routes as listings_routes
from app.listings import tasks as listings_tasks
from app.metering import tasks as metering_tasks
from app.metering.gateway.describing import GATEWAY_PATHS
from app.metering.history.partitions import POSTGRES_PARTITIONS
from app.metering.tables import usage_metadata
from app.metering.tally.postgres_functions import POSTGRES_FUNCTIONS
from app.metering.usage import export_routes as usage_export_routes
from app.metering.usage import routes as metering_routes
from app.notices import models as notices_models
from app.notices import routes as notices_routes
from app.reports import readiness
from app.reports import routes as reports_routes

METADATA: Mapping[str, sa.MetaData] = {"market": market_metadata, "usage": usage_metadata}

SEALED: Mapping[str, Sequence[SealedColumn]] = {
    store: sealed_columns(metadata) for store, metadata in METADATA.items()
}
"""Every column that holds sealed text, by store: what a new master key has to seal anew."""

EXTRA_DDL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "market": {
        dialect: (*BILLING_TRIGGERS[dialect], *SEAT_TRIGGERS[dialect])
        for dialect in ("sqlite", "postgresql")
    },
    "usage": {"postgresql": (*POSTGRES_PARTITIONS, *POSTGRES_FUNCTIONS)},
}
"""Statements beside the tables, by store and dialect: functions and triggers."""

MODELS: tuple[ModuleType, ...] = (
    jobs_models,
    http_models,
    audit_models,
    notices_models,
    accounts_models,
    oauth_models,
    people_models,
    alliance_models,
    identity_models,
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
    *usage_export_routes.ROUTERS,
    *notices_routes.ROUTERS,
    *billing_routes.ROUTERS,
)

API_PARTS = ApiParts(
    tags={
        "Accounts": "Organisations and their verification, their people, clients and signing keys.",
        "Alliance": "Who belongs to the alliance in which role, and the charter that binds them.",
        "OAuth": "Access tokens for programs and for the people behind them.",
        "Listings": "What is for sale: description, data, licence terms, plans and their prices.",
        "Contracts": "How a buyer and a provider come to agree, and proof that they did.",
        "Data": "The data themselves: every call is admitted, counted on disk and then answered.",
        "Usage": "What was used, as buyer and provider both see it, and a receipt for each call.",
        "Notices": "What your organisation is told, such as that a quota is nearly used up.",
        "Billing": "Closing a month, and what an open month comes to by now.",
        "Invoices": "What a buyer owes a provider for a month, line by line.",
        "Payments": "How a buyer's money arrives.",
        "Payouts": "How a provider's share reaches its account.",
        "Ledger": "The double-entry books, for those who oversee the alliance.",
        "Audit": "The public log of what happened, its proofs, and the chain of one sale.",
        "Operations": "Whether this server lives and may be given traffic.",
    },
    scopes=SCOPE_MEANINGS,
    foreign_paths=GATEWAY_PATHS,
)
"""What the OpenAPI document tells of the whole."""

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
