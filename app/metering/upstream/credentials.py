"""The provider's credential: opened here, put into the request, never seen in an answer."""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote_plus

from app.kernel.sealing import Sealer

# A shorter secret stands in ordinary data by chance.
ECHO_MIN_LENGTH = 8

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")


class CredentialKind(StrEnum):
    """Where the upstream expects its credential."""

    NONE = "none"
    HEADER = "header"
    QUERY = "query"
    BASIC = "basic"
    OAUTH = "oauth"
    MTLS = "mtls"


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """How the upstream wants to be addressed, with the secret still sealed.

    `name` is the header, the query parameter, the user of basic authentication, or the client of
    OAuth. A basic credential without a name holds `user:password` inside the seal.
    """

    kind: CredentialKind
    name: str = ""
    sealed: str = ""
    token_url: str = ""
    scope: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """An opened credential: what to add to a call, and the forms of its echo.

    `token` is an access token that may be turned down, and then renewed.
    """

    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None
    traces: tuple[bytes, ...] = ()
    token: str | None = None
    tls: ssl.SSLContext | None = None

    def headers(self) -> list[tuple[str, str]]:
        """The headers that replace the caller's; a packed answer would hide an echo, so none is."""
        if self.header is None and self.parameter is None:
            return []
        plain = ("Accept-Encoding", "identity")
        return [plain] if self.header is None else [plain, self.header]

    def add_to_query(self, query: str) -> str:
        """`query` with the credential's parameter, and without the caller's own of that name."""
        if self.parameter is None:
            return query
        name, secret = self.parameter
        kept = [pair for pair in query.split("&") if pair and not _is_named(pair, name)]
        return "&".join([*kept, f"{quote(name, safe='')}={quote(secret, safe='')}"])

    def is_echoed_in(self, data: bytes) -> bool:
        """Whether `data` holds the secret in a plain or an escaped form."""
        return any(trace in data for trace in self.traces)


def sealed_credential_of(document: Mapping[str, Any]) -> SealedCredential:
    """The credential of a compiled grant's `auth` member; `ValueError` when it is none."""
    kind = CredentialKind(document["kind"])
    if kind is CredentialKind.NONE:
        return SealedCredential(kind)
    name = str(document.get("name") or document.get("username") or "")
    if kind is CredentialKind.HEADER and not _TOKEN.fullmatch(name):
        raise ValueError("a header credential needs the name of a header")
    if kind is CredentialKind.QUERY and not name:
        raise ValueError("a query credential needs the name of a parameter")
    if kind is CredentialKind.OAUTH and not (name and document["token_url"]):
        raise ValueError("an OAuth credential needs a client and a token endpoint")
    return SealedCredential(
        kind,
        name,
        str(document["sealed"]),
        str(document.get("token_url") or ""),
        str(document.get("scope") or ""),
        str(document.get("certificate") or ""),
    )


def open_secret(sealed: SealedCredential, listing_id: str, keys: Sealer) -> str:
    """The secret in the clear; raises `SealBroken` (a `ValueError`) when it does not open."""
    return keys.unseal(sealed.sealed, f"upstream:{listing_id}").decode("utf-8")


def open_credential(sealed: SealedCredential, listing_id: str, keys: Sealer) -> Credential:
    """A credential that is usable as it is; raises `SealBroken` when it does not open."""
    if sealed.kind is CredentialKind.NONE:
        return Credential()
    secret = open_secret(sealed, listing_id, keys)
    match sealed.kind:
        case CredentialKind.HEADER:
            return Credential(header=(sealed.name, secret), traces=_traces(secret))
        case CredentialKind.QUERY:
            return Credential(parameter=(sealed.name, secret), traces=_traces(secret))
        case CredentialKind.BASIC:
            pair = f"{sealed.name}:{secret}" if sealed.name else secret
            token = base64.b64encode(pair.encode()).decode()
            traces = _traces(pair.partition(":")[2]) + _traces(token)
            return Credential(header=("Authorization", f"Basic {token}"), traces=traces)
        case _:
            raise AssertionError("tokens and certificates are asked for, not opened")


def bearer(token: str, secret: str) -> Credential:
    """The credential of an access token that was given for a client's `secret`."""
    traces = _traces(token) + _traces(secret)
    return Credential(header=("Authorization", f"Bearer {token}"), traces=traces, token=token)


def _traces(secret: str) -> tuple[bytes, ...]:
    if len(secret) < ECHO_MIN_LENGTH:
        return ()
    in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    forms = {secret, quote(secret, safe=""), in_json, in_json.replace("/", "\\/")}
    return tuple(sorted(form.encode() for form in forms))


def _is_named(pair: str, name: str) -> bool:
    return unquote_plus(pair.partition("=")[0]).casefold() == name.casefold()
