"""Hosted: rows of a frozen version's file, selected, filtered, sorted and paged.

Owns: queries, the engine that runs them, the formats, the cache of answers, the files that are made
for contracts. Does not own: who may ask (gateway), counting the call (tally), the frozen files and
the grammar of conditions (listings).
"""

from app.listings.conditions.errors import QueryRefused
from app.metering.hosted.query import HostedQuery, parse_query
from app.metering.hosted.store import HostedAnswer, HostedGrant, HostedStore, hosted_grant_of

__all__ = [
    "HostedAnswer",
    "HostedGrant",
    "HostedQuery",
    "HostedStore",
    "QueryRefused",
    "hosted_grant_of",
    "parse_query",
]
