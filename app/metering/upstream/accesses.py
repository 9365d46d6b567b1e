"""Accesses: the way into each upstream, ready to use: its credential, token or certificate."""

from __future__ import annotations

import asyncio

import aiohttp

from app.kernel.sealing import SealBroken, Sealer
from app.metering.upstream.answers import Upstream
from app.metering.upstream.certificates import client_context
from app.metering.upstream.credentials import (
    Credential,
    CredentialKind,
    SealedCredential,
    bearer,
    open_credential,
    open_secret,
)
from app.metering.upstream.errors import UpstreamFailed
from app.metering.upstream.remembering import Memory
from app.metering.upstream.tokens import TokenClient, TokenSource

CREDENTIALS_MAX = 10_000
# Each holds every root certificate of the machine.
CONTEXTS_MAX = 256

Name = tuple[str, SealedCredential]
"""A listing and its sealed credential: one that is changed is another one."""


class Accesses:
    """Opens credentials, and keeps what is dear to make of them; belongs to one event loop."""

    def __init__(self, keys: Sealer) -> None:
        self._keys = keys
        self._credentials: Memory[Name, Credential] = Memory(CREDENTIALS_MAX)
        self._certified: Memory[Name, Credential] = Memory(CONTEXTS_MAX)
        self._tokens: Memory[Name, TokenSource] = Memory(CREDENTIALS_MAX)

    async def credential(self, upstream: Upstream, session: aiohttp.ClientSession) -> Credential:
        """What to call `upstream` with; fails with `UpstreamFailed`."""
        name = (upstream.listing_id, upstream.credential)
        try:
            match upstream.credential.kind:
                case CredentialKind.OAUTH:
                    source = self._tokens.recall_or_make(name, lambda: self._source(*name))
                    token = await source.get(session, upstream.timeout_s)
                    return bearer(token, source.client.secret)
                case CredentialKind.MTLS:
                    return self._certified.recall(name) or await self._certify(name)
                case _:
                    return self._credentials.recall_or_make(name, lambda: self._open(*name))
        except SealBroken as error:
            raise UpstreamFailed("credential") from error

    def turn_down(self, upstream: Upstream, token: str) -> bool:
        """The upstream did not take `token`; whether another is to be had."""
        source = self._tokens.recall((upstream.listing_id, upstream.credential))
        return source is None or source.turn_down(token)

    def _open(self, listing_id: str, sealed: SealedCredential) -> Credential:
        return open_credential(sealed, listing_id, self._keys)

    def _source(self, listing_id: str, sealed: SealedCredential) -> TokenSource:
        secret = open_secret(sealed, listing_id, self._keys)
        return TokenSource(TokenClient(sealed.token_url, sealed.name, secret, sealed.scope))

    async def _certify(self, name: Name) -> Credential:
        listing_id, sealed = name
        key = open_secret(sealed, listing_id, self._keys)
        try:
            context = await asyncio.to_thread(client_context, sealed.certificate, key)
        except ValueError as error:
            raise UpstreamFailed("credential") from error
        return self._certified.keep(name, Credential(tls=context))
