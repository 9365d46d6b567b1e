"""An upstream that asks for a client certificate."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.metering.upstream import UpstreamClient, UpstreamFailed, accesses
from app.metering.upstream.certificates import client_context
from tests.listings.certificates import client_certificate
from tests.metering.upstream.raw_server import (
    KEYS,
    RawServer,
    answer,
    fixed,
    get,
    loopback_at,
    sealed,
    serving,
    upstream_at,
)

NOW = datetime.now(UTC)
OURS = client_certificate(NOW)
OTHERS = client_certificate(NOW)


def mtls(pair: tuple[str, str]) -> dict[str, str]:
    certificate, key = pair
    return {"kind": "mtls", "name": "", "certificate": certificate, "sealed": sealed(key)}


@pytest.fixture
def server_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS of a server that takes `OURS` only, and whose own certificate is trusted here."""
    certificate, key = client_certificate(NOW)
    files = {"server.pem": certificate + key, "trusted.pem": certificate, "ours.pem": OURS[0]}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ours.pem"))
    context.load_cert_chain(tmp_path / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def call(tls: ssl.SSLContext, *auths: Any) -> tuple[list[bytes], RawServer]:
    """One call with each credential; the bodies."""

    async def play() -> tuple[list[bytes], RawServer]:
        async with serving(fixed(answer(b"data")), keep_alive=True, tls=tls) as server:
            client = UpstreamClient(KEYS, loopback_at(server.port))
            url = server.url.replace("http:", "https:")
            try:
                return [
                    (await client.fetch(upstream_at(url, auth=auth), get())).body for auth in auths
                ], server
            finally:
                await client.close()

    return asyncio.run(play())


def test_the_certificate_is_shown_and_its_context_made_once(
    server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def making(certificate: str, key: str) -> ssl.SSLContext:
        made.append(certificate)
        return client_context(certificate, key)

    monkeypatch.setattr(accesses, "client_context", making)
    auth = mtls(OURS)
    bodies, server = call(server_tls, auth, auth, auth)
    assert bodies == [b"data"] * 3
    assert len(made) == server.connections == 1


@pytest.mark.parametrize("auth", [{"kind": "none"}, mtls(OTHERS), mtls((OURS[0], OTHERS[1]))])
def test_without_it_or_with_another_there_is_no_call(
    server_tls: ssl.SSLContext, auth: dict[str, str]
) -> None:
    with pytest.raises(UpstreamFailed):
        call(server_tls, auth)


def test_a_server_that_nobody_vouches_for_is_not_called(
    server_tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ours.pem"))
    with pytest.raises(UpstreamFailed) as failed:
        call(server_tls, mtls(OURS))
    assert failed.value.reason == "unreachable"


def test_the_key_is_never_in_a_file_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, bytes] = {}
    load = ssl.SSLContext.load_cert_chain

    def reading(context: ssl.SSLContext, path: str, **options: Any) -> None:
        written[path] = Path(path).read_bytes()
        assert Path(path).stat().st_mode & 0o077 == 0
        load(context, path, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", reading)
    client_context(*OURS)
    ((path, content),) = written.items()
    assert b"ENCRYPTED PRIVATE KEY" in content
    assert OURS[1].splitlines()[1].encode() not in content
    assert not Path(path).exists()
