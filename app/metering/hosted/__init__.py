"""Hosted: rows of a frozen version's file, selected, filtered, sorted and paged.

Owns: the query grammar, the engine that runs it, the formats, the cache of answers.
Does not own: who may ask (gateway), counting the call (tally), the files (listings).
"""

from app.metering.hosted.errors import QueryRefused
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
