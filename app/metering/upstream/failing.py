"""Failing: what the HTTP client raises, told as the failure of an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from app.http.connecting import is_denied
from app.metering.upstream.errors import UpstreamFailed, UpstreamUnreachable

CONNECT_MAX_S = 5.0


@contextmanager
def as_failure() -> Iterator[None]:
    """Tell what the HTTP client raises as `UpstreamFailed`; our deadline stays `TimeoutError`."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise UpstreamUnreachable from error
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorError as error:
        raise (UpstreamFailed("address") if is_denied(error) else UpstreamUnreachable()) from error
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise UpstreamFailed("broken") from error


def connect_timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    """Bounds connecting alone, well inside the deadline of the call, to tell the two apart."""
    return aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_MAX_S, timeout_s / 2))
