"""Where a visitor comes from: only our own proxies are believed, and only from the near end."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.accounts.oauth.visitor_addresses import believable

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9,198.51.100.1,10.0.0.2 ", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, ", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("testclient", "198.51.100.1", None),
        ("", "198.51.100.1", None),
    ],
)
def test_the_address_is_the_last_one_that_no_stranger_could_write(
    peer: str, forwarded: str, found: str | None
) -> None:
    address = believable(peer, forwarded, PROXIES)
    assert (None if address is None else str(address)) == found


def test_without_proxies_nothing_that_is_sent_is_believed() -> None:
    assert str(believable("10.0.0.1", "198.51.100.1", ())) == "10.0.0.1"
