"""Which addresses upstreams may use: every row and spelling of the fault plan's SSRF list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest

from app.kernel.addresses import (
    Address,
    AddressRefused,
    UpstreamUrl,
    is_allowed,
    parse_upstream_url,
    refuse_address,
    refuse_private_host,
    resolve_host,
)
from app.settings import Settings, UpstreamAllowance

DENIED = [
    ("0.0.0.0", "unspecified"),  # noqa: S104  an address to refuse, not to bind
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared"),
    ("100.100.100.200", "shared"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "metadata"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "protocol"),
    ("192.0.0.192", "protocol"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.0.1", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.1", "benchmark"),
    ("198.19.255.255", "benchmark"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "not global unicast"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:0:127.0.0.1", "not global unicast"),
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::10.1.2.3", "private"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("64:ff9b:1::1", "not global unicast"),
    ("100::1", "not global unicast"),
    ("2001::1", "protocol"),
    ("2001:2::1", "protocol"),
    ("2001:20::1", "protocol"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback"),
    ("2002:c0a8:1::1", "private"),
    ("2002:a9fe:a9fe::1", "link-local"),
    ("3fff::1", "documentation"),
    ("5f00::1", "not global unicast"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "zone id"),
    ("2606:4700::1111%eth0", "zone id"),
    ("fec0::1", "not global unicast"),
    ("ff02::1", "multicast"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:200::1",
    "2400:3200::1",
    "2606:4700:4700::1111",
]


@pytest.mark.parametrize(("text", "reason"), DENIED)
def test_an_address_that_is_not_public_is_refused_with_its_reason(text: str, reason: str) -> None:
    assert refuse_address(ip_address(text)) == reason
    assert not is_allowed(ip_address(text), 443, ())


@pytest.mark.parametrize("text", PUBLIC)
def test_an_ordinary_public_address_is_allowed(text: str) -> None:
    assert refuse_address(ip_address(text)) is None
    assert is_allowed(ip_address(text), 443, ())
    assert is_allowed(ip_address(text), 8080, ())


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 53, 110, 445, 993, 3306, 5432, 6379, 11211])
def test_a_port_of_another_protocol_is_refused_on_a_public_address(port: int) -> None:
    assert not is_allowed(ip_address("8.8.8.8"), port, ())


def allowances(*entries: str) -> tuple[UpstreamAllowance, ...]:
    return Settings(upstream_allow=entries).upstream_allowances()


def test_an_allowance_opens_its_network_and_its_port_and_nothing_else() -> None:
    park = allowances("10.8.0.0/16:9001", "127.0.0.1/32:6379", "[fd00::/8]:80")
    assert is_allowed(ip_address("10.8.1.2"), 9001, park)
    assert is_allowed(ip_address("::ffff:10.8.1.2"), 9001, park)
    assert is_allowed(ip_address("127.0.0.1"), 6379, park)
    assert is_allowed(ip_address("fd12::1"), 80, park)
    assert not is_allowed(ip_address("10.8.1.2"), 9002, park)
    assert not is_allowed(ip_address("10.9.0.1"), 9001, park)
    assert not is_allowed(ip_address("127.0.0.2"), 6379, park)
    assert not is_allowed(ip_address("::1"), 6379, park)
    assert not is_allowed(ip_address("64:ff9b::10.8.1.2"), 9001, park)
    assert not is_allowed(ip_address("8.8.8.8"), 6379, park)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://api.example.com", "http://api.example.com"),
        ("HTTPS://API.Example.COM:443/", "https://api.example.com"),
        ("https://api.example.com./v1/", "https://api.example.com/v1"),
        ("http://api.example.com:8080/v1/data", "http://api.example.com:8080/v1/data"),
        ("http://8.8.8.8/a%2Fb", "http://8.8.8.8/a%2Fb"),
        ("http://[2606:4700:0::1111]:81", "http://[2606:4700::1111]:81"),
        ("http://数据.中国", "http://xn--vxup8b.xn--fiqs8s"),
        ("http://８.８.８.８", "http://8.8.8.8"),
        ("http://a_b.example/~x/@me;v=1", "http://a_b.example/~x/@me;v=1"),
    ],
)
def test_a_base_url_is_read_into_its_normal_form(text: str, normal: str) -> None:
    url = parse_upstream_url(text)
    assert str(url) == normal
    assert parse_upstream_url(normal) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.example.com",
        "//api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "unix:/run/docker.sock",
        "http+unix://%2Frun%2Fdocker.sock",
        "javascript:alert(1)",
        "http://",
        "http:///v1",
        "http://:80",
        "http://user@api.example.com",
        "http://user:secret@api.example.com",
        "http://api.example.com@127.0.0.1",
        "http://api.example.com\\@127.0.0.1",
        "http://api.example.com#@127.0.0.1",
        "http://api.example.com?x=1",
        "http://api.example.com/#x",
        "http://api.example.com:0",
        "http://api.example.com:65536",
        "http://api.example.com:80a",
        "http://api.example.com:８０",
        "http://api.example.com:-1",
        "http://api.example.com:",
        "http://api..example.com",
        "http://api.example.com..",
        "http://.example.com",
        "http://-a.example.com",
        "http://a" + "b" * 63 + ".com",
        "http://" + "a." * 130 + "com",
        "http://api.example.com/../admin",
        "http://api.example.com/v1/%2e%2E/admin",
        "http://api.example.com/./v1",
        "http://api.example.com/v 1",
        "http://api.example.com/%zz",
        "http://api.example.com/\r\nX: y",
        " http://api.example.com",
        "http://api.example.com\n",
        "http://api%2eexample.com",
        "http://127.0.0.1%00.example.com",
        "http://[fe80::1%25eth0]",
        "http://[fe80::1%eth0]",
        "http://[::1",
        "http://::1/",
        "http://[127.0.0.1]",
        "http://[v1.x]",
        "http://" + "a" * 2_000,
    ],
)
def test_what_is_not_a_plain_base_url_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        parse_upstream_url(text)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "0x",
        "example.0x1",
        "example.123",
        "１２７.1",
        "２１３０７０６４３３",
        "127。1",
    ],
)
def test_an_address_in_an_odd_spelling_is_refused_before_anyone_resolves_it(host: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse_upstream_url(f"http://{host}/")
    assert refused.value.reason == "host"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1",
        "http://127.0.0.1.",
        "http://１２７.０.０.１",
        "http://127。0。0。1",
        "http://①②⑦.0.0.1",
        "http://0.0.0.0:8000",
        "http://[::1]",
        "http://[::ffff:127.0.0.1]",
        "http://[::ffff:7f00:1]",
        "http://[64:ff9b::7f00:1]",
        "http://[2002:7f00:1::]",
        "http://[fd00::1]",
        "http://169.254.169.254/latest/meta-data",
        "http://100.100.100.200",
        "http://8.8.8.8:22",
        "http://8.8.8.8:25",
        "http://8.8.8.8:6379",
    ],
)
def test_a_literal_that_is_not_public_is_refused_without_asking_the_network(text: str) -> None:
    def never(host: str, port: int) -> Sequence[Address]:
        raise AssertionError("a literal is not resolved")

    with pytest.raises(AddressRefused):
        refuse_private_host(parse_upstream_url(text), (), never)


def resolving_to(*addresses: str) -> Callable[[str, int], Sequence[Address]]:
    return lambda host, port: [ip_address(address) for address in addresses]


NAMED = UpstreamUrl("https", "api.example.com", 443, "")


def test_a_name_is_accepted_when_all_of_its_addresses_are_public() -> None:
    refuse_private_host(NAMED, (), resolving_to("8.8.8.8", "2606:4700::1111"))


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("8.8.8.8", "::1"), ("fe80::1%eth0",), ()],
)
def test_a_name_is_refused_the_same_way_when_any_address_is_private_or_there_is_none(
    addresses: tuple[str, ...],
) -> None:
    with pytest.raises(AddressRefused) as refused:
        refuse_private_host(NAMED, (), resolving_to(*addresses))
    assert refused.value.reason == "name"
    assert not any(address in refused.value.detail for address in addresses)


@pytest.mark.parametrize("name", ["localhost", "localhost.", "LOCALHOST"])
def test_localhost_is_refused_by_what_it_really_resolves_to(name: str) -> None:
    assert resolve_host("localhost", 80)
    with pytest.raises(AddressRefused):
        refuse_private_host(parse_upstream_url(f"http://{name}:8000"), ())


def test_a_private_name_is_accepted_where_the_operator_allows_its_network() -> None:
    url = parse_upstream_url("http://stats.park.internal:9001/v1")
    refuse_private_host(url, allowances("10.8.0.0/16:9001"), resolving_to("10.8.0.7"))
    with pytest.raises(AddressRefused):
        refuse_private_host(url, allowances("10.8.0.0/16:9002"), resolving_to("10.8.0.7"))


def test_a_name_that_nobody_can_resolve_has_no_addresses() -> None:
    assert resolve_host("no-such-host.invalid", 80) == ()
    assert resolve_host("a" * 64 + ".example", 80) == ()
