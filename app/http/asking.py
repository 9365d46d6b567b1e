"""Asking: one request of ours to a server that somebody else named, from a thread that may wait.

The same guard as for upstreams stands inside the connection. Bounded in time and bytes, follows no
redirect, keeps no cookie. Never within a transaction that writes: it waits for a stranger.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from app.http.connecting import GuardedConnector, GuardedResolver, is_denied
from app.kernel.addresses import (
    AddressRefused,
    Allowance,
    parse_upstream_url,
    refuse_private_host,
    resolve_host,
)

ANSWER_MAX_BYTES = 262_144
LIMIT_S = 5.0
AT_ONCE = 12
AT_ONCE_OF_ONE = 4
"""A slow server holds this many of the threads that answer requests, and all of them twelve."""

_QUERY = re.compile(r"[!$-~]*")
_lookups = ThreadPoolExecutor(4, thread_name_prefix="asking")
_lock = threading.Lock()
_asking: Counter[str] = Counter()


class Why(StrEnum):
    """Why no answer was heard."""

    ADDRESS = "address"
    AWAY = "away"
    BUSY = "busy"
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"


class NotHeard(Exception):
    """There was no answer that can be read."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, repr=False)
class Question:
    """What is asked of whom; a `form` makes it a POST. `url` may have a query, and no fragment."""

    url: str
    form: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Heard:
    """The status and the whole body of an answer."""

    status: int
    body: bytes


def ask(question: Question, allowances: Sequence[Allowance]) -> Heard:
    """The answer to `question`; raises `NotHeard` or `AddressRefused`. Blocks for `LIMIT_S`."""
    with _a_place(host_of(question.url)):
        return asyncio.run(_ask(question, allowances))


def must_be_public(url: str, allowances: Sequence[Allowance]) -> None:
    """Refuse with `AddressRefused` a host that may not be asked; `NotHeard` if nobody says in time.

    What is found is looked at again when it is asked: a name may lead elsewhere by then.
    """
    parsed = parse_upstream_url(url.partition("?")[0])
    with _a_place(host_of(url)):
        looking = _lookups.submit(refuse_private_host, parsed, allowances)
        try:
            looking.result(LIMIT_S)
        except TimeoutError as error:
            looking.cancel()
            raise NotHeard(Why.AWAY) from error


def host_of(url: str) -> str:
    """Host and port of an http or https URL in ASCII; raises `AddressRefused` for any other."""
    where, _, query = url.partition("?")
    parsed = parse_upstream_url(where)
    if not url.isascii() or not _QUERY.fullmatch(query):
        raise AddressRefused("Such an address is written in ASCII, without a fragment.", "url")
    return f"{parsed.host}:{parsed.port}"


@contextmanager
def _a_place(host: str) -> Iterator[None]:
    with _lock:
        if _asking.total() >= AT_ONCE or _asking[host] >= AT_ONCE_OF_ONE:
            raise NotHeard(Why.BUSY)
        _asking[host] += 1
    try:
        yield
    finally:
        with _lock:
            _asking[host] -= 1
            if not _asking[host]:
                del _asking[host]


async def _ask(question: Question, allowances: Sequence[Allowance]) -> Heard:
    resolver = GuardedResolver(allowances, resolve_host, _lookups)
    try:
        async with (
            asyncio.timeout(LIMIT_S),
            aiohttp.ClientSession(
                connector=GuardedConnector(allowances, resolver, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.request(
                "GET" if question.form is None else "POST",
                URL(question.url, encoded=True),
                data=question.form,
                headers={
                    "User-Agent": "zhigu",
                    "Accept-Encoding": "identity",
                    **question.headers,
                },
                allow_redirects=False,
            ) as response,
        ):
            if 300 <= response.status < 400:
                raise NotHeard(Why.REDIRECT)
            return Heard(response.status, await _read(response))
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise NotHeard(Why.ADDRESS if is_denied(error) else Why.AWAY) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > ANSWER_MAX_BYTES:
            raise NotHeard(Why.TOO_LARGE)
    return body
