"""Bounds: what the licence inside the terms leaves of what two parties may agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.contracts.errors import NotLicensed
from app.contracts.terms import Points, moments, points_of
from app.listings.licences import EnforcedTerms, Licence, enforceable
from app.listings.odrl import licence_from_odrl
from app.listings.plans import grants_units


def licence_of(document: Mapping[str, Any]) -> Licence:
    """The licence that a terms document carries as its policy."""
    return licence_from_odrl(
        document["policy"], document["listing"]["id"], document["provider"]["id"]
    )


def moments_under(document: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """`[start, end)` in which calls are allowed: the days agreed, as far as the licence reaches."""
    return _overlap(points_of(document), enforceable(licence_of(document)))


def check_licensed(licence: Licence, points: Points, buyer_id: str) -> None:
    """Refuse purpose, channel, buyer or days that the licence does not allow."""
    terms = enforceable(licence)
    if points.purpose not in terms.purposes:
        raise NotLicensed(
            "The licence does not allow this purpose.",
            clause="purpose",
            allowed=list(terms.purposes),
        )
    if points.channel not in terms.channels:
        raise NotLicensed(
            "The licence does not allow this channel.",
            clause="deliveryChannel",
            allowed=list(terms.channels),
        )
    if terms.recipients is not None and buyer_id not in terms.recipients:
        raise NotLicensed("The licence does not name this buyer.", clause="recipient")
    if terms.count is not None and grants_units(points.plan.plan):
        raise NotLicensed("The licence counts every use: no units come beside it.", clause="count")
    starts_at, ends_at = _overlap(points, terms)
    if starts_at >= ends_at:
        raise NotLicensed("The licence does not cover any of these days.", clause="dateTime")


def _overlap(points: Points, terms: EnforcedTerms) -> tuple[datetime, datetime]:
    starts_at, ends_at = moments(points.starts_on, points.ends_on)
    if terms.starts_at is not None:
        starts_at = max(starts_at, terms.starts_at)
    if terms.ends_at is not None:
        ends_at = min(ends_at, terms.ends_at)
    if terms.days is not None:
        # Elapsed time runs from when use may begin; Asia/Shanghai has days of 24 hours.
        ends_at = min(ends_at, starts_at + timedelta(days=terms.days))
    return starts_at, ends_at
