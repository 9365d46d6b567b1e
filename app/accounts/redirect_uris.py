"""Redirect addresses: where an authorization code may be sent. They are compared by every byte."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from app.accounts.errors import RedirectUriInvalid

MAX_CHARS = 500
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
# A consent page's Content-Security-Policy names the place: no `;`, quote or `*` may stand there.
_PLACE = re.compile(r"([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")
_OURS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})


def check_redirect_uri(uri: str) -> None:
    """Refuse with `RedirectUriInvalid` an address that a code must not be sent to.

    HTTPS; plain HTTP on a loopback address; or an application's own scheme with a dot in it
    (RFC 8252 §7). No fragment, no user, and no query that ours would be mistaken for.
    """
    if not _CHARACTERS.fullmatch(uri) or len(uri) > MAX_CHARS:
        raise RedirectUriInvalid("A redirect address is a short URI in ASCII, without a fragment.")
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise RedirectUriInvalid("The redirect address is no URI.") from error
    if "@" in parts.netloc:
        raise RedirectUriInvalid("A redirect address names no user.")
    if parts.netloc and not _PLACE.fullmatch(parts.netloc):
        raise RedirectUriInvalid("The host of a redirect address is a name or an address.")
    if not _is_good_place(parts.scheme, host):
        raise RedirectUriInvalid(
            "A redirect address is https, http on loopback, or an application's own scheme."
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if urlencode(pairs) != parts.query or _OURS & {name for name, _ in pairs}:
        raise RedirectUriInvalid("The query of this redirect address would not stay as it is.")


def _is_good_place(scheme: str, host: str | None) -> bool:
    if scheme == "https":
        return bool(host)
    if scheme == "http":
        return host in LOOPBACK
    return host is None and _PRIVATE_SCHEME.fullmatch(scheme) is not None
