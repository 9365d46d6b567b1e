"""Settings come from a file and the environment, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import SettingsError, load_settings


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "zhigu.toml"
    config.write_text('public_url = "https://a.example"\ndrain_delay_s = 1.5\n')
    settings = load_settings(
        {
            "ZHIGU_CONFIG": str(config),
            "ZHIGU_PUBLIC_URL": "https://b.example",
            "ZHIGU_HOME": str(tmp_path),
            "ZHIGU_STRIPE_WEBHOOK_SECRETS": "one two",
            "ZHIGU_STRIPE_SANDBOX": "true",
        }
    )
    assert settings.public_url == "https://b.example"
    assert settings.drain_delay_s == 1.5
    assert settings.stripe_webhook_secrets == ("one", "two")
    assert settings.stripe_sandbox is True
    assert settings.store_url("market") == f"sqlite:///{tmp_path.resolve()}/market.db"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"ZHIGU_PAYOUT_HOLD_DAYS": "soon"}, "payout_hold_days"),
        ({"ZHIGU_PAYOUT_HOLD_DAYS": "-1"}, "payout_hold_days"),
        ({"ZHIGU_BODY_MAX_BYTES": "0"}, "body_max_bytes"),
        ({"ZHIGU_UPLOAD_MAX_BYTES": "-5"}, "upload_max_bytes"),
        ({"ZHIGU_SEAL_EVERY_S": "nan"}, "seal_every_s"),
        ({"ZHIGU_CHECKPOINT_EVERY_S": "0"}, "checkpoint_every_s"),
        ({"ZHIGU_CHANGE_POLL_S": "5"}, "change_poll_s"),
        ({"ZHIGU_UPSTREAM_ALLOW": "localhost"}, "localhost"),
        ({"ZHIGU_UPSTREAM_ALLOW": "127.0.0.1/8:80"}, "127.0.0.1/8"),
        ({"ZHIGU_TRUSTED_PROXIES": "10.0.0.0/8 proxy.local"}, "proxy.local"),
        ({"ZHIGU_PUBLIC_URL": "http://zhigu.example"}, "must begin with https://"),
        ({"ZHIGU_PUBLIC_URL": "http://10.0.0.5:8000"}, "must begin with https://"),
        ({"ZHIGU_PUBLIC_URL": "http://127.0.0.1.example:8000"}, "must begin with https://"),
        ({"ZHIGU_PUBLIC_URL": "ftp://127.0.0.1"}, "must begin with https://"),
        ({"ZHIGU_PUBLIC_URL": "zhigu.example"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": ""}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://zhigu.example/"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://zhigu.example?a=b"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://zhigu.example#"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "HTTPS://zhigu.example"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://me@zhigu.example"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://zhigu.example:x"}, "not an address"),
        ({"ZHIGU_PUBLIC_URL": "https://智谷.example"}, "not an address"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(environ: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        load_settings(environ)


@pytest.mark.parametrize(
    "url",
    [
        "https://zhigu.example",
        "https://zhigu.example:8443/alliance",
        "http://localhost:8000",
        "http://127.0.0.9",
        "http://[::1]:8000",
    ],
)
def test_the_public_address_is_reached_by_tls_or_on_loopback(url: str) -> None:
    assert load_settings({"ZHIGU_PUBLIC_URL": url}).public_url == url


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "zhigu.toml"
    config.write_text("pubic_url = 'x'\n")
    with pytest.raises(SettingsError, match="pubic_url"):
        load_settings({"ZHIGU_CONFIG": str(config)})


def test_the_allow_list_is_read_as_networks_and_ports() -> None:
    settings = load_settings({"ZHIGU_UPSTREAM_ALLOW": "127.0.0.1/32:9001 [fd00::/8]:443"})
    first, second = settings.upstream_allowances()
    assert (str(first.network), first.port) == ("127.0.0.1/32", 9001)
    assert (str(second.network), second.port) == ("fd00::/8", 443)
    assert load_settings({}).upstream_allowances() == ()


@pytest.mark.parametrize("content", [None, b"public_url = ", b"\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "zhigu.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=str(path)):
        load_settings({"ZHIGU_CONFIG": str(path)})
