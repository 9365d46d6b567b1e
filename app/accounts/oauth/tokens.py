"""Access tokens: JWT by RFC 9068, read in one strict way.

Nothing in a token's header is believed but the name of one of our own keys: other algorithms,
`crit`, and headers that bring a key along are refused, and base64url has one spelling only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from app.accounts.oauth.token_keys import PublishedKeys
from app.accounts.roles import Role
from app.accounts.scopes import PERSONAL_SCOPES, SCOPES
from app.db.installation import Installation
from app.kernel.actor import Actor, ActorKind
from app.kernel.ids import kind_of
from app.kernel.jwk import (
    ALGORITHM,
    JoseInvalid,
    PublicKey,
    base64url_decode,
    json_object,
    signature_holds,
)
from app.kernel.refusals import NotSignedIn

TOKEN_TYPE = "at+jwt"  # noqa: S105 - the `typ` of RFC 9068 §2.1
LIFE_S = 600
SKEW_S = 60
MAX_TOKEN_CHARS = 4096
CACHE_SIZE = 10_000

FindKey = Callable[[str], PublicKey | None]

_HEADER = frozenset({"alg", "typ", "kid"})
_ROLES = frozenset(role.value for role in Role)
_SCOPES = frozenset((*SCOPES, *PERSONAL_SCOPES))
_REFUSED = 'Bearer realm="zhigu", error="invalid_token"'


class TokenInvalid(NotSignedIn):
    """The access token does not hold; why is not told to the bearer (RFC 6750 §3.1)."""

    def __init__(self) -> None:
        super().__init__(
            "The access token is not valid, or no longer.",
            headers={"WWW-Authenticate": _REFUSED},
        )


def verify_access_token(
    find_key: FindKey, token: str, now_s: int, issuer: str
) -> tuple[Actor, int]:
    """The actor that `token` speaks for, and when it lapses (Unix seconds).

    Raises `TokenInvalid` unless it is ours, of this type, for this audience and of this time
    (`SKEW_S` either way). Says nothing of what was revoked since: see `liveness`.
    """
    try:
        claims = _verified_claims(find_key, token)
        _must_be_current(claims, now_s)
        if claims["iss"] != issuer or claims["aud"] != issuer:
            raise TokenInvalid
        return _actor(claims), int(claims["exp"])
    except (JoseInvalid, KeyError) as error:
        raise TokenInvalid from error


class TokenVerifier:
    """Verifies tokens of an installation from any thread; what held is remembered by its hash."""

    def __init__(self, installation: Installation) -> None:
        self._clock = installation.clock
        self._issuer = installation.settings.public_url
        self._keys = PublishedKeys(installation)
        self._known: OrderedDict[bytes, tuple[Actor, int]] = OrderedDict()

    def verify(self, token: str) -> tuple[Actor, int]:
        """The actor that `token` speaks for, and when it lapses (Unix seconds)."""
        now_s = self._clock.now_us() // 1_000_000
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and now_s < known[1]:
            return known
        found = verify_access_token(self._keys.find, token, now_s, self._issuer)
        self._known[name] = found
        while len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return found


def _verified_claims(find_key: FindKey, token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise TokenInvalid
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid
    header = json_object(base64url_decode(parts[0]), "header")
    if set(header) != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TOKEN_TYPE:
        raise TokenInvalid
    kid = header["kid"]
    key = find_key(kid) if isinstance(kid, str) else None
    if key is None:
        raise TokenInvalid
    if not signature_holds(key, f"{parts[0]}.{parts[1]}".encode(), base64url_decode(parts[2])):
        raise TokenInvalid
    return json_object(base64url_decode(parts[1]), "claims")


def _must_be_current(claims: dict[str, Any], now_s: int) -> None:
    starts = [claims["iat"], claims.get("nbf", claims["iat"])]
    if any(type(moment) is not int for moment in (*starts, claims["exp"])):
        raise TokenInvalid
    if now_s >= claims["exp"] + SKEW_S or any(now_s < moment - SKEW_S for moment in starts):
        raise TokenInvalid


def _actor(claims: dict[str, Any]) -> Actor:
    subject, client_id, organisation_id = claims["sub"], claims["client_id"], claims["org"]
    scopes, roles, jti = claims["scope"], claims["roles"], claims["jti"]
    if any(type(text) is not str for text in (subject, client_id, organisation_id, scopes, jti)):
        raise TokenInvalid
    if not isinstance(roles, list) or not _ROLES.issuperset(map(str, roles)):
        raise TokenInvalid
    kinds = {"cli": ActorKind.CLIENT, "usr": ActorKind.PERSON}
    kind = kinds.get(kind_of(subject) or "")
    if kind is None or (kind is ActorKind.CLIENT and subject != client_id):
        raise TokenInvalid
    delegation_id = claims.get("delegation")
    if (kind is ActorKind.PERSON) != (type(delegation_id) is str):
        raise TokenInvalid
    return Actor(
        kind,
        subject,
        organisation_id,
        roles=frozenset(roles),
        scopes=_SCOPES.intersection(scopes.split()),
        client_id=client_id,
        token_id=jti,
        delegation_id=delegation_id,
    )
