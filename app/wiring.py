"""Wiring: the lists of tables, routes, jobs and recurring work that make up the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from app.db.columns import market_metadata
from app.http.models import AnsweredRequest
from app.jobs.models import Job

METADATA: Mapping[str, sa.MetaData] = {"market": market_metadata, "usage": sa.MetaData()}

EXTRA_DDL: Mapping[str, Mapping[str, Sequence[str]]] = {"market": {}, "usage": {}}
"""Statements beside the tables, by store and dialect: functions that a driver calls."""

TABLES = (AnsweredRequest, Job)
