"""Tokens: access tokens for upstreams that ask for OAuth client credentials (RFC 6749 §4.4).

A token serves every call until shortly before it ends, or until the upstream turns it down. One
request for a new one is under way at a time; the token endpoint is reached through the provider's
own pool, whose connections are guarded.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import aiohttp
import msgspec

from app.metering.upstream.errors import UpstreamFailed
from app.metering.upstream.failing import as_failure, connect_timeout

LIFE_DEFAULT_S = 300.0
LIFE_MAX_S = 86_400.0
# Renewed this long before its end, but no short-lived token more than a tenth of its life before.
RENEW_BEFORE_S = 30.0
PAUSE_AFTER_FAILURE_S = 2.0
# A 401 may be about what one buyer asks for, not about the token: it does not cost the provider's
# other calls theirs, nor its token endpoint a request, each time.
TURNED_DOWN_EVERY_S = 10.0
REQUEST_MAX_S = 10.0
ANSWER_MAX_BYTES = 65_536

_BEARER = re.compile(r"[\x21-\x7e]{1,8000}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class TokenClient:
    """Who asks for tokens, and where; `secret` is in the clear."""

    url: str
    client_id: str
    secret: str
    scope: str


@dataclass(slots=True)
class TokenSource:
    """The token of one client. Moments are monotonic seconds."""

    client: TokenClient
    token: str | None = field(default=None, repr=False)
    renew_at_s: float = 0.0
    ends_at_s: float = 0.0
    paused_until_s: float = 0.0
    kept_until_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, session: aiohttp.ClientSession, timeout_s: float) -> str:
        """A token that is good for a while; fails with `UpstreamFailed`.

        A failure is told to all who ask within the next seconds, without asking again; meanwhile a
        token that has not ended yet goes on.
        """
        if self.token is not None and time.monotonic() < self.renew_at_s:
            return self.token
        async with self.lock:
            now_s = time.monotonic()
            if self.token is not None and now_s < self.renew_at_s:
                return self.token
            if now_s >= self.paused_until_s:
                try:
                    await self._renew(session, timeout_s)
                except UpstreamFailed as failed:
                    self.paused_until_s = time.monotonic() + PAUSE_AFTER_FAILURE_S
                    if failed.reason == "address":
                        raise
        if self.token is None or time.monotonic() >= self.ends_at_s:
            raise UpstreamFailed("token")
        return self.token

    def turn_down(self, token: str) -> bool:
        """The upstream did not take `token`; whether another is to be had."""
        if self.token == token:
            now_s = time.monotonic()
            if now_s < self.kept_until_s:
                return False
            self.token, self.kept_until_s = None, now_s + TURNED_DOWN_EVERY_S
        return True

    async def _renew(self, session: aiohttp.ClientSession, timeout_s: float) -> None:
        asked_at_s = time.monotonic()
        try:
            async with asyncio.timeout(min(REQUEST_MAX_S, timeout_s / 2)):
                token, life_s = await _request(session, self.client, timeout_s)
        except TimeoutError as error:
            raise UpstreamFailed("token") from error
        self.token = token
        self.ends_at_s = asked_at_s + life_s
        self.renew_at_s = self.ends_at_s - min(RENEW_BEFORE_S, life_s / 10)


class _TokenAnswer(msgspec.Struct):
    access_token: str
    token_type: str
    # A number by RFC 6749 §5.1, and a string with some servers.
    expires_in: float | str | None = None


async def _request(
    session: aiohttp.ClientSession, client: TokenClient, timeout_s: float
) -> tuple[str, float]:
    """A new token, and for how long it is good."""
    form = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
    # RFC 6749 §2.3.1: both halves are form-encoded first.
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with as_failure():
        async with session.post(
            client.url,
            data=urlencode(form).encode(),
            headers=headers,
            allow_redirects=False,
            timeout=connect_timeout(timeout_s),
        ) as response:
            body = await _read(response) if response.status == 200 else b""
    return _token_in(body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > ANSWER_MAX_BYTES:
            raise UpstreamFailed("token")
    return body


def _token_in(body: bytes) -> tuple[str, float]:
    try:
        answer = msgspec.json.decode(body, type=_TokenAnswer)
        life_s = LIFE_DEFAULT_S if answer.expires_in is None else float(answer.expires_in)
    except ValueError as error:  # msgspec's errors are among them
        raise UpstreamFailed("token") from error
    is_bearer = answer.token_type.casefold() == "bearer" and _BEARER.fullmatch(answer.access_token)
    if not is_bearer or not life_s > 0:
        raise UpstreamFailed("token")
    return answer.access_token, min(life_s, LIFE_MAX_S)
