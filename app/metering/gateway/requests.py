"""What the gateway reads of a request: its path, and the headers that it knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.http.idempotency import read_key
from app.kernel.refusals import Malformed, NotSignedIn, RowNotFound

MOUNT = b"/data/"
# The same few short requests come again and again. Long ones are read anew each time: whoever sends
# them, before anybody knows who that is, must not fill our memory with them.
REMEMBERED_MAX_BYTES = 500
_SLUG = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")
_ONCE = frozenset({b"contract", b"purpose"})
_SIZED = frozenset({"row", "byte"})
_CHOOSING = frozenset(
    {b"accept", b"accept-encoding", b"accept-language", b"range", b"if-range"}
    | {b"content-type", b"content-encoding"}
)


@dataclass(slots=True)
class DataRequest:
    """One request for data. `operation` is the first word after the slug, `rest` what follows it,
    from its slash on, as it stands in the URL. `body` is None until it is needed and read.
    """

    method: str
    slug: str
    operation: str
    rest: bytes
    raw_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    authorization: bytes
    accept: bytes = b""
    contract_id: str | None = None
    purpose: str | None = None
    key: str | None = None
    body: bytes | None = None

    @property
    def key_sha256(self) -> str | None:
        """The Idempotency-Key as the usage store knows it."""
        return None if self.key is None else hashlib.sha256(self.key.encode("ascii")).hexdigest()

    @property
    def is_unread(self) -> bool:
        """Whether a body may follow that was not read yet."""
        return self.body is None and self.method == "POST"

    def fingerprint(self, meter: str) -> str:
        """What makes two requests the same request: method, path, query, and the body if it has
        one.

        Where rows or bytes are paid for, also what else says how many of them come: the key of a
        small part does not give the whole. Where calls are, a download that broke off may go on
        under its key.

        A key is part of it: the provider and auditors read fingerprints, and could find out by
        trying what was asked. Under a key that nobody can guess they cannot; the buyer can check.
        """
        more = self._sizing() if meter in _SIZED else b""
        if self.body is not None:
            more += b"\n\n" + hashlib.sha256(self.body).digest()
        if self.key is not None:
            more += b"\n\n" + self.key.encode("ascii")
        if more or len(self.raw_path) + len(self.query) > REMEMBERED_MAX_BYTES:
            return _fingerprint(self.method, self.raw_path, self.query, more)
        return _remembered_fingerprint(self.method, self.raw_path, self.query)

    def _sizing(self) -> bytes:
        """The headers that choose a part or a format; nothing when there are none."""
        chosen = [pair for pair in self.headers if pair[0] in _CHOOSING]
        return b"".join(b"\n%s: %s" % pair for pair in sorted(chosen))


def _fingerprint(method: str, raw_path: bytes, query: bytes, more: bytes = b"") -> str:
    head = b"%s %s?%s%s" % (method.encode("ascii"), raw_path, query, more)
    return hashlib.sha256(head).hexdigest()


_remembered_fingerprint = lru_cache(maxsize=1024)(_fingerprint)


def read_request(scope: Mapping[str, Any]) -> DataRequest:
    """The request in an ASGI scope.

    Refuses with `RowNotFound` for a path that is none of ours, `NotSignedIn` without a token, and
    `Malformed` for a header that can be read in two ways.
    """
    # `path` is decoded, and a mount has cut it: only the raw path says what was asked.
    raw_path: bytes = scope["raw_path"]
    is_long = len(raw_path) > REMEMBERED_MAX_BYTES
    slug, operation, rest = (_read_path if is_long else _remembered_path)(raw_path)
    request = DataRequest(
        scope["method"],
        slug,
        operation,
        rest,
        raw_path,
        scope["query_string"],
        scope["headers"],
        b"",
    )
    _read_headers(request)
    return request


def _read_path(raw_path: bytes) -> tuple[str, str, bytes]:
    """The slug, the operation and the rest."""
    slug, slash, rest = raw_path[len(MOUNT) :].partition(b"/")
    operation, slash_again, rest = rest.partition(b"/")
    known = raw_path.startswith(MOUNT) and _SLUG.fullmatch(slug) and slash
    if not known or operation not in _OPERATIONS or (operation == b"rows" and slash_again):
        raise RowNotFound("There is no such data, or it is not yours.")
    return slug.decode("ascii"), operation.decode("ascii"), slash_again + rest


_remembered_path = lru_cache(maxsize=1024)(_read_path)


_OPERATIONS = frozenset({b"rows", b"files", b"api"})


def _read_headers(request: DataRequest) -> None:
    keys: list[str] = []
    for name, value in request.headers:
        if name == b"authorization":
            if request.authorization:
                raise NotSignedIn("Send one Authorization header.")
            request.authorization = value
        elif name == b"accept":
            request.accept = request.accept + b", " + value if request.accept else value
        elif name == b"idempotency-key":
            keys.append(value.decode("latin-1"))
        elif name in _ONCE:
            _set_once(request, name, value)
    if keys:
        request.key = read_key(keys)
    if not request.authorization:
        raise NotSignedIn("Send an access token: Authorization: Bearer …")


def _set_once(request: DataRequest, name: bytes, value: bytes) -> None:
    text = value.decode("latin-1").strip()
    attribute = "contract_id" if name == b"contract" else "purpose"
    if getattr(request, attribute) is not None:
        raise Malformed(f"Send the header {name.decode().capitalize()} once.")
    setattr(request, attribute, text)
