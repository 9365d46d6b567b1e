"""Addresses: which hosts an upstream may live on (the guard against SSRF).

An operator's allow-list names non-public upstreams; everything else must be public. The same table
is read when a URL is registered and again for each socket, since a name may resolve to something
else by then. Own table: `ipaddress.is_global` of Python 3.11 passes 192.0.0.192, multicast, and
private addresses embedded in NAT64 and 6to4.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from app.kernel.refusals import RuleBroken

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_MAX_LENGTH = 2_000
NAME_MAX_LENGTH = 253


class Allowance(Protocol):
    """A network and port that upstreams may use although it is not public."""

    @property
    def network(self) -> Network:
        """The addresses."""
        ...

    @property
    def port(self) -> int:
        """The one port."""
        ...


class AddressRefused(RuleBroken):
    """A URL or address that upstreams may not use; `reason` is a short fact for programs."""

    slug = "address-refused"
    title = "Address not allowed"

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(detail, reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """A parsed base URL: lower-case ASCII host, explicit port, path without its last slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> Address | None:
        """The host as an address, or None when it is a name."""
        return _literal(self.host)

    @property
    def origin(self) -> str:
        """Scheme, host and port as they stand in a URL; the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def __str__(self) -> str:
        return self.origin + self.path


def refuse_address(address: Address) -> str | None:
    """Why upstreams may not live at `address`, or None when it is an ordinary public one."""
    if isinstance(address, IPv4Address):
        return _first_reason(address, _DENIED_V4)
    if address.scope_id is not None:
        return "zone id"
    if address.ipv4_mapped is not None:
        return refuse_address(address.ipv4_mapped)
    for network, shift in _EMBEDDING_V6:
        if address in network:
            return refuse_address(IPv4Address((int(address) >> shift) & 0xFFFF_FFFF))
    if address not in _GLOBAL_UNICAST_V6:
        return _first_reason(address, _NAMED_V6) or "not global unicast"
    return _first_reason(address, _DENIED_V6)


def is_allowed(address: Address, port: int, allowances: Iterable[Allowance]) -> bool:
    """Whether a connection to `address` and `port` may be made: allow-listed, or public and fit."""
    return why_denied(address, port, allowances) is None


def why_denied(address: Address, port: int, allowances: Iterable[Allowance]) -> str | None:
    """The reason against a connection to `address` and `port`, or None when it may be made."""
    plain = address
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        plain = address.ipv4_mapped
    if any(a.port == port and _holds(a.network, plain) for a in allowances):
        return None
    return refuse_address(plain) or ("port" if _is_port_denied(port) else None)


def parse_upstream_url(text: str) -> UpstreamUrl:
    """The base URL in `text`; raises `AddressRefused` for every spelling that two readers could
    take differently (user information, zone ids, odd numbers for an address, dot segments).

    Only reads: whether the host is public is `refuse_private_host`'s question.
    """
    match = _URL.fullmatch(text) if len(text) <= URL_MAX_LENGTH else None
    if match is None:
        raise AddressRefused(
            "An upstream is an http or https URL: a host, maybe a port and a path, no user, "
            "query or fragment.",
            "url",
        )
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise AddressRefused("The port is not between 1 and 65535.", "port")
    return UpstreamUrl(scheme, _host(match["host"]), port, _base_path(match["path"]))


def resolve_host(host: str, port: int) -> Sequence[Address]:
    """Every address of `host`; blocks. Empty when it has none or nobody can say."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return [ip_address(entry[4][0]) for entry in found]


def refuse_private_host(
    url: UpstreamUrl,
    allowances: Iterable[Allowance],
    resolve: Callable[[str, int], Sequence[Address]] = resolve_host,
) -> None:
    """Raise `AddressRefused` unless every address of the host may be used, now.

    Asks the network for a name: call it before the transaction writes. A name that does not
    resolve and one that resolves to something private get the same answer, so that nobody can
    probe names inside our network.
    """
    known = tuple(allowances)
    literal = url.address
    if literal is not None:
        if reason := why_denied(literal, url.port, known):
            raise AddressRefused(f"Upstreams may not use this address ({reason}).", reason)
        return
    addresses = resolve(url.host, url.port)
    if not addresses or not all(is_allowed(found, url.port, known) for found in addresses):
        raise AddressRefused(
            "The host must be a name whose every address is public and whose port is not another "
            "protocol's.",
            "name",
        )


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    # NFKC and the ideographic full stops, as resolvers do: a full-width `１２７。１` is a number.
    try:
        host = text.encode("idna").decode("ascii").lower() if not text.isascii() else text.lower()
    except UnicodeError:
        raise AddressRefused("The host is not a name.", "host") from None
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > NAME_MAX_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host is not a name.", "host")
    # What ends in a number is an address for somebody (127.1, 2130706433, 0x7f.1, 0177.0.0.1).
    if _NUMBER.fullmatch(labels[-1]) and _literal(host) is None:
        raise AddressRefused("Write an IPv4 address as four decimal numbers.", "host")
    return host


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise AddressRefused("The host is not an IPv6 address.", "host") from None
    if address.scope_id is not None:
        raise AddressRefused("An address with a zone id is not public.", "zone id")
    return str(address)


def _base_path(text: str) -> str:
    path = text.removesuffix("/")
    decoded = re.sub(r"%2[eE]", ".", path)
    if any(segment in {".", ".."} for segment in decoded.split("/")):
        raise AddressRefused("The path of an upstream holds no dot segments.", "path")
    return path


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network


def _is_port_denied(port: int) -> bool:
    return (port < 1024 and port not in _WEB_PORTS) or port in _OTHER_PROTOCOLS


def _first_reason(address: Address, table: Sequence[tuple[Network, str]]) -> str | None:
    return next((reason for network, reason in table if address in network), None)


_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[hH][tT][tT][pP][sS]?)://"
    r"(?P<host>\[[0-9A-Fa-f:.%A-Za-z]+\]|[^\s/\\?#@:\[\]%\x00-\x20\x7f]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*)",
    re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_WEB_PORTS = frozenset({80, 443})
# Ports above 1023 where another protocol listens that HTTP text can be smuggled into.
_OTHER_PROTOCOLS = frozenset(
    {1433, 1521, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061}
    | {5432, 5672, 5900, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697}
    | {9042, 9092, 9160, 10080, 10250, 11211, 26379, 27017}
)

# IANA's special-purpose registries, and metadata services that hide at public addresses.
_DENIED_V4: tuple[tuple[Network, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "unspecified"),
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared"),  # 100.100.100.200: Alibaba Cloud's metadata
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("168.63.129.16/32"), "metadata"),  # Azure
    (IPv4Network("169.254.0.0/16"), "link-local"),  # 169.254.169.254: most clouds' metadata
    (IPv4Network("172.16.0.0/12"), "private"),
    (IPv4Network("192.0.0.0/24"), "protocol"),  # 192.0.0.192: Oracle's metadata
    (IPv4Network("192.0.2.0/24"), "documentation"),
    (IPv4Network("192.88.99.0/24"), "6to4 relay"),
    (IPv4Network("192.168.0.0/16"), "private"),
    (IPv4Network("198.18.0.0/15"), "benchmark"),
    (IPv4Network("198.51.100.0/24"), "documentation"),
    (IPv4Network("203.0.113.0/24"), "documentation"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
# Where an IPv4 address stands inside, and how far from the right.
_EMBEDDING_V6 = ((IPv6Network("64:ff9b::/96"), 0), (IPv6Network("2002::/16"), 80))
_NAMED_V6: tuple[tuple[Network, str], ...] = (
    (IPv6Network("::/128"), "unspecified"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("ff00::/8"), "multicast"),
)
_DENIED_V6: tuple[tuple[Network, str], ...] = (
    (IPv6Network("2001::/23"), "protocol"),  # Teredo, ORCHID, benchmarks
    (IPv6Network("2001:db8::/32"), "documentation"),
    (IPv6Network("3fff::/20"), "documentation"),
)
