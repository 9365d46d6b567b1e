"""Upstreams: how a provider's own API wants to be called, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.kernel.refusals import RuleBroken

TIMEOUT_MAX_S = 60
BODY_MAX_BYTES = 100_000_000
SECRET_MAX_CHARS = 4000

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,100}", re.ASCII)
# What the gateway itself decides about: a credential may not pass for one of these.
_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer"}
    | {"cookie", "expect", "proxy-authorization", "accept-encoding", "content-type"}
)
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class AuthKind(StrEnum):
    """Where the upstream expects its credential."""

    NONE = "none"
    HEADER = "header"
    QUERY = "query"
    BASIC = "basic"


class CredentialRefused(RuleBroken):
    """A credential that could not be sent as it is."""

    slug = "credential-refused"
    title = "Credential refused"


@dataclass(frozen=True, slots=True, repr=False)
class UpstreamAuth:
    """A credential in the clear, on its way to being sealed.

    `name` is the header, the query parameter, or the user of basic authentication.
    """

    kind: AuthKind
    name: str = ""
    secret: str = ""

    def __post_init__(self) -> None:
        if self.kind is AuthKind.NONE:
            if self.name or self.secret:
                raise CredentialRefused("An upstream without authentication has no credential.")
            return
        if not self.name or not self.secret:
            raise CredentialRefused("A credential has a name and a secret.")
        if len(self.secret) > SECRET_MAX_CHARS or not _VISIBLE.fullmatch(self.secret):
            raise CredentialRefused("A secret is visible ASCII text without blanks at its ends.")
        if self.kind is AuthKind.HEADER:
            if not _HEADER_NAME.fullmatch(self.name):
                raise CredentialRefused("This is not the name of a header.")
            if self.name.lower() in _RESERVED_HEADERS:
                raise CredentialRefused("This header is the gateway's own.")
        if self.kind is AuthKind.BASIC and ":" in self.name:
            raise CredentialRefused("The user of basic authentication has no colon.")
        if self.kind is AuthKind.QUERY and not _VISIBLE.fullmatch(self.name):
            raise CredentialRefused("The name of a parameter is visible ASCII text.")
