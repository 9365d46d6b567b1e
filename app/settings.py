"""Settings: frozen values read once from a TOML file and the environment (`ZHIGU_*` wins)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

Size = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """A setting is unknown or unusable; the text names it."""


class UpstreamAllowance(msgspec.Struct, frozen=True):
    """A network and port that upstreams may use although it is not public."""

    network: Network
    port: int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can set. Times in seconds, sizes in bytes; defaults run embedded."""

    home: Path = Path("var")
    """Where stores, files and the master key live (`ZHIGU_HOME`)."""
    market_url: str = ""
    """`sqlite:///…` or `postgresql://…`; empty: `market.db` in `home`. Behind a pooler that lends
    its connections for one transaction (PgBouncer, `pool_mode = transaction`), the URL ends in
    `?pool_mode=transaction`; PgBouncer needs no setting for our sake."""
    usage_url: str = ""
    """The usage store; empty: `usage.db` in `home`."""
    public_url: str = "http://127.0.0.1:8000"
    """How clients reach this installation: the issuer of tokens and the base of links. `https://`,
    even if TLS ends at a proxy; `http://` only on loopback, where nobody listens between."""
    log_name: str = "zhigu.local/log"
    """The origin line of checkpoints: name it once for the life of the log."""
    stripe_secret_key: str = ""
    stripe_api_base: str = ""
    """Empty: Stripe's own address."""
    stripe_webhook_secrets: tuple[str, ...] = ()
    """Up to two while one is being rotated."""
    stripe_sandbox: bool = False
    """Whether the processor is the sandbox double; said loudly wherever a payment is shown."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) of the reverse proxies whose `X-Forwarded-For` is believed; without it,
    everybody behind a proxy shares one limit of sign-in tries."""
    upstream_allow: tuple[str, ...] = ()
    """Non-public upstreams and identity providers that are allowed, as `CIDR:port`."""
    body_max_bytes: Size = 1_000_000
    upload_max_bytes: Size = 1_000_000_000
    drain_delay_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    change_poll_s: Annotated[float, Meta(gt=0, le=0.5)] = 0.25
    """How often a gateway asks what was revoked; one that has not for a second serves nothing."""
    checkpoint_every_s: Seconds = 0.5
    seal_every_s: Seconds = 30.0
    usage_hot_days: Annotated[int, Meta(ge=400, le=36_500)] = 400
    """How long events stay in the usage store before their month goes to a file in `archive_dir`,
    which is kept for ever. At least 400: the events of a year's quota are counted in the store."""
    payout_hold_days: Days = 7
    invoice_due_days: Days = 15

    @property
    def files_dir(self) -> Path:
        """Where uploaded and derived data files are kept."""
        return self.home / "files"

    @property
    def archive_dir(self) -> Path:
        """Where months of events that left the usage store are kept; every host must see it."""
        return self.home / "archive"

    def store_url(self, name: str) -> str:
        """The URL of the `market` or the `usage` store."""
        given = {"market": self.market_url, "usage": self.usage_url}[name]
        return given or f"sqlite:///{self.home.resolve() / name}.db"

    def proxy_networks(self) -> tuple[Network, ...]:
        """The parsed `trusted_proxies`; raises `SettingsError` for an entry that is not CIDR."""
        return tuple(_network(entry) for entry in self.trusted_proxies)

    def upstream_allowances(self) -> tuple[UpstreamAllowance, ...]:
        """The parsed allow-list; raises `SettingsError` for an entry that is not `CIDR:port`."""
        return tuple(_allowance(entry) for entry in self.upstream_allow)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from `ZHIGU_CONFIG` (TOML) under the environment under `overrides`."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    if config := environ.get("ZHIGU_CONFIG"):
        values.update(_file_settings(Path(config)))
    for field in msgspec.structs.fields(Settings):
        if (text := environ.get(f"ZHIGU_{field.name.upper()}")) is not None:
            values[field.name] = text.split() if field.name in _LISTS else text
    values.update(overrides)
    try:
        settings = msgspec.convert(
            values, Settings, strict=False, dec_hook=lambda kind, value: kind(value)
        )
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}") from error
    settings.upstream_allowances()
    settings.proxy_networks()
    _check_public_url(settings.public_url)
    return settings


def _file_settings(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"settings: {path} cannot be read: {error}") from error


_LISTS = frozenset({"stripe_webhook_secrets", "trusted_proxies", "upstream_allow"})


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise SettingsError(f"trusted_proxies: {entry!r} is not CIDR") from error


def _check_public_url(url: str) -> None:
    """RFC 6749 §3.1 and RFC 8414 §2: an issuer is reached by TLS and is an address, no more."""
    try:
        parts = urlsplit(url)
        is_plain = bool(parts.hostname) and url == f"{parts.scheme}://{parts.netloc}{parts.path}"
        has_port = parts.port != 0
    except ValueError:
        is_plain = has_port = False
    if not (is_plain and has_port) or "@" in url or url.endswith("/") or not url.isascii():
        raise SettingsError(
            f"public_url: {url!r} is not an address such as https://zhigu.example, "
            "without a slash at its end, a query or a user's name"
        )
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise SettingsError(
        f"public_url: {url!r} must begin with https://, for tokens and passwords travel to it; "
        "http:// works only on loopback (http://127.0.0.1:8000)"
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _allowance(entry: str) -> UpstreamAllowance:
    network, _, port = entry.rpartition(":")
    try:
        return UpstreamAllowance(ip_network(network.strip("[]")), int(port))
    except ValueError as error:
        raise SettingsError(f"upstream_allow: {entry!r} is not CIDR:port") from error
