"""Asking others' servers: nothing private is reached, nothing waits for ever, nothing grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network

import pytest

from app.http import asking
from app.http.asking import NotHeard, Question, Why, ask, must_be_public
from app.kernel.addresses import Address, AddressRefused
from app.settings import UpstreamAllowance


class Stranger(ThreadingHTTPServer):
    """Answers by what its path asks for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.held = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def allowed(self) -> list[UpstreamAllowance]:
        return [UpstreamAllowance(ip_network("127.0.0.1/32"), self.server_port)]


class Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.seen.append((self.path, dict(self.headers), body))
        if self.path == "/held":
            self.server.held.wait(10)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Set-Cookie", "seen=1")
        self.end_headers()
        try:
            self.wfile.write(b"x" * (400_000 if self.path == "/large" else 5))
            while self.path == "/drips":
                self.wfile.write(b".")
                time.sleep(0.01)
        except OSError:
            return

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.held.set()
    server.shutdown()
    server.server_close()


def why(stranger: Stranger, url: str) -> Why:
    with pytest.raises(NotHeard) as refused:
        ask(Question(url), stranger.allowed)
    return refused.value.why


def test_an_answer_is_heard_with_its_status_and_nothing_is_remembered(stranger: Stranger) -> None:
    for form in (None, b"a=b"):
        heard = ask(Question(f"{stranger.url}/good?a=%2F", form), stranger.allowed)
        assert (heard.status, heard.body) == (200, b"xxxxx")
    path, headers, body = stranger.seen[-1]
    assert (path, body) == ("/good?a=%2F", b"a=b")
    assert "Cookie" not in headers


def test_a_redirect_is_not_followed_and_too_much_is_not_read(stranger: Stranger) -> None:
    assert why(stranger, f"{stranger.url}/redirect") is Why.REDIRECT
    assert why(stranger, f"{stranger.url}/large") is Why.TOO_LARGE
    assert [path for path, _, _ in stranger.seen] == ["/redirect", "/large"]


def test_a_server_that_holds_or_drips_its_answer_is_left(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LIMIT_S", 0.2)
    for path in ("/held", "/drips"):
        assert why(stranger, stranger.url + path) is Why.AWAY


def test_one_slow_server_does_not_take_every_thread(stranger: Stranger) -> None:
    url = f"{stranger.url}/held"
    threads = [
        threading.Thread(target=ask, args=(Question(url), stranger.allowed))
        for _ in range(asking.AT_ONCE_OF_ONE)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 5
    while len(stranger.seen) < len(threads):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert why(stranger, f"{stranger.url}/good") is Why.BUSY
    stranger.held.set()
    for thread in threads:
        thread.join()
    assert ask(Question(f"{stranger.url}/good"), stranger.allowed).status == 200


def test_a_private_address_is_reached_by_no_spelling_and_no_name(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stranger.server_port + 1 if stranger.server_port < 65_535 else 1024
    assert why(stranger, f"http://127.0.0.1:{other}/") is Why.ADDRESS
    assert why(stranger, "https://[::ffff:10.0.0.1]/") is Why.ADDRESS
    for url in ("http://2130706433/", "http://0x7f.1/", "ftp://a.example/", "http://u@a.example/"):
        with pytest.raises(AddressRefused):
            ask(Question(url), stranger.allowed)
    for url in ("http://a.example/?a=b#c", "http://a.example/?a= b", "http://ä.example/"):
        with pytest.raises(AddressRefused):
            ask(Question(url), stranger.allowed)

    def rebound(host: str, port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    monkeypatch.setattr(asking, "resolve_host", rebound)
    assert why(stranger, f"http://rebound.example:{other}/") is Why.ADDRESS
    assert stranger.seen == []


def test_a_host_is_looked_at_before_it_is_asked_and_not_waited_for(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    must_be_public(f"{stranger.url}/good?a=b", stranger.allowed)
    for url in ("https://10.0.0.1/", "https://localhost/"):
        with pytest.raises(AddressRefused):
            must_be_public(url, stranger.allowed)
    monkeypatch.setattr(asking, "LIMIT_S", 0.1)
    monkeypatch.setattr(asking, "refuse_private_host", lambda *_: stranger.held.wait(10))
    with pytest.raises(NotHeard):
        must_be_public("https://slow.example/", stranger.allowed)
