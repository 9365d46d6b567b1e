"""Headers that every answer of the control plane carries."""

from __future__ import annotations

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")


def hardened(
    headers: list[tuple[bytes, bytes]], request_id: str, private: bool
) -> list[tuple[bytes, bytes]]:
    """`headers` with ours added where the handler has not set its own; `private` is not cached."""
    names = {name.lower() for name, _ in headers}
    wanted = [*SECURITY_HEADERS, API_POLICY, (b"x-request-id", request_id.encode())]
    if private:
        wanted.append(NO_STORE)
    return headers + [header for header in wanted if header[0] not in names]
