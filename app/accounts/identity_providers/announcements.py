"""Announcements: what an identity provider publishes of itself, read strictly; pure.

OpenID Connect Discovery 1.0 §3, §4.3: the document is believed only if it names the very issuer
that was asked.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.accounts.identity_providers.errors import IdentityProviderRefused
from app.accounts.identity_providers.id_tokens import ALGORITHMS
from app.kernel.addresses import AddressRefused, Allowance, is_allowed, parse_upstream_url

DISCOVERY_PATH = "/.well-known/openid-configuration"

Endpoint = Annotated[str, Meta(min_length=1, max_length=1000)]
Name = Annotated[str, Meta(pattern=r"^[ -~]{0,200}(?!\n)$")]
Names = Annotated[list[Name], Meta(max_length=100)]


class Announcement(msgspec.Struct, frozen=True):
    """What of a provider's document matters to us; the names are those of the document."""

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint
    id_token_signing_alg_values_supported: Names
    response_types_supported: Names
    code_challenge_methods_supported: Names | None = None
    token_endpoint_auth_methods_supported: Names | None = None
    authorization_response_iss_parameter_supported: bool = False

    @property
    def algorithms(self) -> list[str]:
        """The signatures that it may use and that we take."""
        return [name for name in ALGORITHMS if name in self.id_token_signing_alg_values_supported]


def read_announcement(
    body: bytes, issuer: str, auth_method: str, allowances: tuple[Allowance, ...]
) -> Announcement:
    """The announcement in `body`; refuses with `IdentityProviderRefused` what does not do."""
    try:
        found = msgspec.json.decode(body, type=Announcement)
    except (ValueError, RecursionError) as error:
        raise _refused(
            "It publishes no OpenID configuration that can be read.", "document"
        ) from error
    if found.issuer != issuer:
        raise _refused("Its configuration names another issuer.", "issuer")
    if "code" not in found.response_types_supported:
        raise _refused("It does not offer the authorization code flow.", "response_types")
    if not found.algorithms:
        raise _refused("It signs with no algorithm that we take.", "algorithms", take=[*ALGORITHMS])
    if "S256" not in (found.code_challenge_methods_supported or ["S256"]):
        raise _refused("It does not offer PKCE with S256.", "pkce")
    # OpenID Connect Discovery §3: what is left out is `client_secret_basic`.
    offered = found.token_endpoint_auth_methods_supported or ["client_secret_basic"]
    if auth_method not in offered:
        raise _refused("It does not take this way of proving who we are.", "auth_method")
    for endpoint in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        check_endpoint(endpoint, allowances)
    return found


def check_endpoint(url: str, allowances: tuple[Allowance, ...]) -> None:
    """Refuse an address that is neither https nor, in a test, an allowed one on loopback."""
    where, _, query = url.partition("?")
    try:
        parsed = parse_upstream_url(where)
    except AddressRefused as error:
        raise _refused("One of its addresses cannot be read.", "address") from error
    if not url.isascii() or any(not "!" <= one <= "~" or one in '"#<>' for one in query):
        raise _refused("One of its addresses cannot be read.", "address")
    if parsed.scheme == "https":
        return
    address = parsed.address
    if (
        address is None
        or not address.is_loopback
        or not is_allowed(address, parsed.port, allowances)
    ):
        raise _refused("Its addresses must begin with https://.", "https")


def _refused(detail: str, reason: str, **facts: Any) -> IdentityProviderRefused:
    return IdentityProviderRefused(detail, reason=reason, **facts)
