"""Upstream: one call to a provider's own API, bounded in time and bytes.

Owns: the connection pools, the guard against private addresses inside them, the credential's
injection, and what of a request and an answer passes through.
Does not own: who may call (gateway), counting the call (tally).
"""

from app.metering.upstream.answers import (
    Rest,
    Upstream,
    UpstreamAnswer,
    UpstreamRequest,
    upstream_of,
)
from app.metering.upstream.errors import (
    MethodNotAllowed,
    PathRefused,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from app.metering.upstream.fetching import UpstreamClient
from app.metering.upstream.spooling import SpoolRoom

__all__ = [
    "MethodNotAllowed",
    "PathRefused",
    "Rest",
    "SpoolRoom",
    "Upstream",
    "UpstreamAnswer",
    "UpstreamBusy",
    "UpstreamClient",
    "UpstreamFailed",
    "UpstreamRequest",
    "UpstreamTimeout",
    "UpstreamTooLarge",
    "upstream_of",
]
