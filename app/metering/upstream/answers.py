"""What goes to an upstream and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.kernel.addresses import UpstreamUrl, parse_upstream_url
from app.metering.upstream.credentials import SealedCredential, sealed_credential_of
from app.metering.upstream.errors import MethodNotAllowed

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Upstream:
    """The provider's API behind a listing, as the compiled grant describes it."""

    listing_id: str
    provider_id: str
    url: UpstreamUrl
    credential: SealedCredential
    timeout_s: float
    body_max_bytes: int
    methods: frozenset[str]

    def refuse_method(self, method: str) -> None:
        """Raise `MethodNotAllowed` unless calls may use `method`; who offers GET offers HEAD."""
        if method in self.methods or (method == "HEAD" and "GET" in self.methods):
            return
        offered = self.methods | {"HEAD"} if "GET" in self.methods else self.methods
        raise MethodNotAllowed(
            "This listing does not offer this method.",
            headers={"Allow": ", ".join(sorted(offered))},
        )


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A buyer's call: `path` is the raw path after `/data/{slug}/api`, `query` the raw query.

    `repeat_key` is what the upstream may know a repeated POST by; it is its `Idempotency-Key`.
    """

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = ()
    body: bytes | None = None
    repeat_key: str | None = None


class Rest(Protocol):
    """What is still to come of a body; whoever holds one closes it.

    `size_bytes` is the length of the whole body, the begun part included, where it was told.
    """

    @property
    def size_bytes(self) -> int | None:
        """How long the whole body is."""
        ...

    async def piece(self) -> bytes:
        """The next piece, empty at the end; fails as `UpstreamClient.fetch` does."""
        ...

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An answer below 500: end-to-end headers in lower case, the body as it was sent.

    The body is not unpacked: `content-encoding` is among the headers. No `content-length`. With a
    `rest`, `body` is only the first part of a large one.
    """

    status: int
    headers: Headers
    body: bytes
    rest: Rest | None = None


def upstream_of(document: Mapping[str, Any], provider_id: str) -> Upstream:
    """The upstream of a compiled grant's `upstream` member.

    Raises `AddressRefused`, `KeyError` or `ValueError` for a document that listings never made.
    """
    return Upstream(
        listing_id=str(document["listing_id"]),
        provider_id=provider_id,
        url=parse_upstream_url(document["base_url"]),
        credential=sealed_credential_of(document["auth"]),
        timeout_s=float(document["timeout_s"]),
        body_max_bytes=int(document["body_max_bytes"]),
        methods=frozenset(document.get("methods") or ("GET",)),
    )
