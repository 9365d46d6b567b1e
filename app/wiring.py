"""Wiring: the lists of tables, routes, jobs and recurring work that make up the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from litestar.types import ControllerRouterHandler

from app.accounts.models import (
    Client,
    Organisation,
    Person,
    SigningKey,
    UsedNonce,
    Verification,
)
from app.accounts.oauth.models import (
    AuthorizationCode,
    RevokedToken,
    SignInFailures,
    SignInSession,
    TokenKey,
)
from app.billing import tables as billing_tables
from app.billing.triggers import BILLING_TRIGGERS
from app.db.columns import market_metadata
from app.http.idempotency import forget_old_answers
from app.http.models import AnsweredRequest
from app.jobs.kinds import JobKind, Recurring
from app.jobs.models import Job
from app.metering.tables import usage_metadata
from app.metering.tally_functions import POSTGRES_FUNCTIONS

METADATA: Mapping[str, sa.MetaData] = {"market": market_metadata, "usage": usage_metadata}

EXTRA_DDL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "market": BILLING_TRIGGERS,
    "usage": {"postgresql": POSTGRES_FUNCTIONS},
}
"""Statements beside the tables, by store and dialect: functions that a driver calls."""

TABLES = (
    AnsweredRequest,
    Job,
    *(Organisation, Verification, Client, Person, SigningKey, UsedNonce),
    *(TokenKey, AuthorizationCode, SignInSession, SignInFailures, RevokedToken),
    *(*billing_tables.TABLES),
)

ROUTERS: tuple[ControllerRouterHandler, ...] = ()

JOBS: tuple[JobKind, ...] = ()

SCHEDULE: tuple[Recurring, ...] = (
    Recurring("idempotency.sweep", lambda _installation: 3600.0, forget_old_answers),
)
