"""Which headers pass: few on the way out, on the way back all but the dangerous.

What the buyer sends about himself (token, cookies, contract, keys) is ours and never leaves. What
an upstream answers must not act on our origin, on the connection, or in our name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.metering.upstream.errors import UpstreamFailed

Pairs = Sequence[tuple[bytes, bytes]]

RESPONSE_HEADERS_MAX_BYTES = 32_000
# How often one call may come through an installation such as ours before it is a loop.
HOPS_MAX = 3

_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_FORWARDED = frozenset(
    {b"accept", b"accept-encoding", b"accept-language", b"content-type", b"range"}
)
# The body goes on as it came, packed or not.
_FORWARDED_WITH_BODY = _FORWARDED | {b"content-encoding"}
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_WITHHELD = frozenset(
    # Ours to write: framing, caching of paid content, how a browser takes it.
    {b"content-length", b"date", b"server", b"via", b"content-disposition", b"refresh"}
    | {b"cache-control", b"expires", b"age", b"pragma", b"vary", b"x-content-type-options"}
    | {b"content-security-policy", b"content-security-policy-report-only", b"x-frame-options"}
    | {b"referrer-policy"}
    # State and policy of an origin that is not theirs.
    | {b"set-cookie", b"set-cookie2", b"clear-site-data", b"strict-transport-security"}
    | {b"public-key-pins", b"alt-svc", b"alt-used", b"nel", b"report-to", b"reporting-endpoints"}
    | {b"service-worker-allowed", b"origin-agent-cluster", b"permissions-policy", b"sourcemap"}
    | {b"x-accel-redirect", b"x-sendfile", b"x-accel-buffering", b"x-accel-expires", b"location"}
    # What only the gateway says.
    | {b"www-authenticate", b"authentication-info", b"usage-receipt", b"contract", b"purpose"}
    | {b"idempotency-key", b"x-request-id"}
)
_WITHHELD_PREFIXES = (b"proxy-", b"access-control-", b"cross-origin-", b"sec-", b"ratelimit")


def request_headers(headers: Pairs, *, with_body: bool = False) -> list[tuple[str, str]]:
    """The headers of the upstream call: the few that choose a representation, and `Via`.

    Raises `UpstreamFailed` when the call has already come through here too often.
    """
    forwarded = _FORWARDED_WITH_BODY if with_body else _FORWARDED
    passed = [(name, value) for name, value in headers if name.lower() in forwarded]
    if not any(name.lower() == b"accept-encoding" for name, _ in passed):
        passed.append((b"accept-encoding", b"identity"))
    hops = sum(value.count(b"zhigu") for name, value in headers if name.lower() == b"via")
    if hops >= HOPS_MAX:
        raise UpstreamFailed("loop")
    passed.append((b"via", b", ".join([b"1.1 zhigu"] * (hops + 1))))
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in passed]


def response_headers(headers: Pairs) -> tuple[tuple[bytes, bytes], ...]:
    """The end-to-end headers of an answer that may reach the buyer, names in lower case.

    Raises `UpstreamFailed` when they are too many bytes, or hold one that no header may.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    nominated = {
        token.strip().lower()
        for name, value in lowered
        if name == b"connection"
        for token in value.split(b",")
    }
    withheld = _HOP_BY_HOP | _WITHHELD | nominated
    passed = tuple(
        (name, value)
        for name, value in lowered
        if name not in withheld and not name.startswith(_WITHHELD_PREFIXES)
    )
    if sum(len(name) + len(value) for name, value in passed) > RESPONSE_HEADERS_MAX_BYTES:
        raise UpstreamFailed("headers")
    # Our own server would refuse to send these, after the call was billed.
    if any(_UNSENDABLE.search(value) for _, value in passed):
        raise UpstreamFailed("headers")
    return passed


def is_plainly_framed(headers: Pairs) -> bool:
    """Whether the body's end can be told: transfer codings other than `chunked` hide it."""
    codings = [
        value.strip().lower() for name, value in headers if name.lower() == b"transfer-encoding"
    ]
    return codings in ([], [b"chunked"])
