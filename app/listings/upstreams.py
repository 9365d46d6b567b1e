"""Upstreams: how a provider's own API wants to be called, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.kernel.addresses import AddressRefused, UpstreamUrl, parse_upstream_url
from app.kernel.refusals import RuleBroken
from app.listings.client_certificates import CertificateUnfit, check_certificate

TIMEOUT_MAX_S = 60
BODY_MAX_BYTES = 100_000_000
SECRET_MAX_CHARS = 4000
SCOPE_MAX_CHARS = 1000
CERTIFICATE_MAX_CHARS = 20_000

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,100}", re.ASCII)
# What the gateway itself decides about: a credential may not pass for one of these.
_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer"}
    | {"cookie", "expect", "proxy-authorization", "accept-encoding", "content-type"}
    | {"content-encoding", "idempotency-key", "via"}
)
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
# RFC 6749 §3.3
_SCOPE = re.compile(r"(?:[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*)?", re.ASCII)


class Method(StrEnum):
    """What a call to an upstream may do."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"


class AuthKind(StrEnum):
    """Where the upstream expects its credential."""

    NONE = "none"
    HEADER = "header"
    QUERY = "query"
    BASIC = "basic"
    OAUTH = "oauth"
    MTLS = "mtls"


class CredentialRefused(RuleBroken):
    """A credential that could not be sent as it is."""

    slug = "credential-refused"
    title = "Credential refused"


@dataclass(frozen=True, slots=True, repr=False)
class UpstreamAuth:
    """A credential in the clear, on its way to being sealed.

    `name` is the header, the query parameter, the user of basic authentication, or the client of
    OAuth. With a client certificate the secret is its private key, in PEM.
    """

    kind: AuthKind
    name: str = ""
    secret: str = ""
    token_url: str = ""
    scope: str = ""
    certificate: str = ""

    def __post_init__(self) -> None:
        if (self.token_url or self.scope) and self.kind is not AuthKind.OAUTH:
            raise CredentialRefused("Only OAuth has a token endpoint and a scope.")
        if self.certificate and self.kind is not AuthKind.MTLS:
            raise CredentialRefused("Only mutual TLS has a certificate.")
        match self.kind:
            case AuthKind.NONE:
                if self.name or self.secret:
                    raise CredentialRefused("An upstream without authentication has no credential.")
            case AuthKind.MTLS:
                if self.name or not self.secret or not self.certificate:
                    raise CredentialRefused("Mutual TLS has a certificate, its key, and no name.")
            case _:
                self._check_name_and_secret()

    @property
    def details(self) -> dict[str, str] | None:
        """What the kind needs beside name and secret; none of it is secret."""
        if self.kind is AuthKind.OAUTH:
            return {"token_url": self.token_url, "scope": self.scope}
        return {"certificate": self.certificate} if self.kind is AuthKind.MTLS else None

    @property
    def other_urls(self) -> tuple[UpstreamUrl, ...]:
        """The addresses that are called beside the upstream's own."""
        return (parse_upstream_url(self.token_url),) if self.kind is AuthKind.OAUTH else ()

    def check_for(self, url: UpstreamUrl, at: datetime) -> None:
        """Refuse a client certificate that does not work at `url` and at that moment."""
        if self.kind is not AuthKind.MTLS:
            return
        if url.scheme != "https":
            raise CredentialRefused("A client certificate needs an https address.")
        try:
            check_certificate(self.certificate, self.secret, at)
        except CertificateUnfit as unfit:
            raise CredentialRefused(str(unfit)) from None

    def _check_name_and_secret(self) -> None:
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
        if self.kind is AuthKind.OAUTH:
            if not _VISIBLE.fullmatch(self.name):
                raise CredentialRefused("The id of a client is visible ASCII text.")
            self._check_token_endpoint()

    def _check_token_endpoint(self) -> None:
        if not _SCOPE.fullmatch(self.scope):
            raise CredentialRefused("A scope is words with one blank between them.")
        try:
            parse_upstream_url(self.token_url)
        except AddressRefused as refused:
            raise CredentialRefused(f"The token endpoint: {refused.detail}") from None
