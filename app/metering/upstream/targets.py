"""The URL of one upstream call: joined from raw bytes, so that nothing is decoded on the way."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from app.kernel.addresses import UpstreamUrl
from app.metering.upstream.errors import PathRefused

TARGET_MAX_BYTES = 8_000

_PATH = re.compile(rb"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*")
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
_UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f]")
# A segment of one or two dots. Some servers cut path parameters off first: `..;x` climbs there.
_DOTS = re.compile(rb"(?:^|[/\\])\.{1,2}(?:;[^/\\]*)?(?:[/\\]|\Z)")
# As often as some chain of servers might decode.
_DECODINGS = 4


def join_path(base: UpstreamUrl, path: bytes) -> str:
    """The path of the call below `base`: `path` as the buyer wrote it, encoded slashes and all.

    Raises `PathRefused` for one that could climb out of the base path, in any encoding.
    """
    if len(path) > TARGET_MAX_BYTES:
        raise PathRefused("The path is too long.")
    if not _PATH.fullmatch(path):
        raise PathRefused("The path holds a character that must be percent-encoded.")
    decoded = path
    for _ in range(_DECODINGS):
        if _UNPRINTABLE.search(decoded):
            raise PathRefused("The path holds a control character.")
        if _DOTS.search(decoded):
            raise PathRefused("The path holds a dot segment.")
        if b"%" not in decoded:
            break
        decoded = unquote_to_bytes(decoded)
    return f"{base.path}{path.decode('ascii')}" or "/"


def read_query(query: bytes) -> str:
    """The raw query as text, unchanged; raises `PathRefused` for what no client may send."""
    if len(query) > TARGET_MAX_BYTES:
        raise PathRefused("The query is too long.")
    if not _QUERY.fullmatch(query):
        raise PathRefused("The query holds a character that must be percent-encoded.")
    return query.decode("ascii")
