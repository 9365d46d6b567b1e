"""Where a visitor comes from, as far as it can be believed: what tries are counted by."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar import Request

from app.db.installation import Installation

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def visitor_address(request: Request[Any, Any, Any], installation: Installation) -> str:
    """The visitor's address as text; an IPv6 visitor's network, for a customer gets a whole /64."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getall("x-forwarded-for", [])
    found = believable(peer, ",".join(forwarded), installation.settings.proxy_networks())
    return _counted(found) if found is not None else peer


def believable(peer: str, forwarded: str, proxies: Sequence[Network]) -> Address | None:
    """The last address that is not one of our own proxies, read from the near end.

    What stands further left, anybody could have written. None if `peer` is not an address.
    """
    found = _address(peer)
    for part in reversed(forwarded.split(",")):
        further = _address(part.strip())
        if found is None or further is None or not any(found in one for one in proxies):
            return found
        found = further
    return found


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _counted(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
