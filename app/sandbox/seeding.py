"""Demo data: the parties and listings of the demo, made over HTTP and remembered in `demo.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.kernel.clock import SystemClock, local_day
from app.kernel.jwk import load_key_file, new_key_file
from app.kernel.sealing import write_private
from app.sandbox.deals import Wish, publish, sign_contract
from app.sandbox.goods import Goods, china_divisions, divisions_api, world_gdp
from app.sandbox.http_client import Client, send, until
from app.sandbox.parties import (
    API,
    BUYER_SCOPES,
    PROVIDER_SCOPES,
    NewParty,
    Party,
    create_party,
)

PROVIDER = NewParty(
    "渝智数据运营有限公司", "Yuzhi Data Operations", "91500108MA5U6YUA0G", PROVIDER_SCOPES
)
BUYER = NewParty(
    "南岸智造科技有限公司", "Nan'an Smart Manufacturing", "91500108MA60BUYE1A", BUYER_SCOPES
)

ALLIANCE_CLIENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "reviewer": (
        "reviewer",
        (
            "listings:read",
            "listings:write",
            "organisations:read",
            "organisations:write",
            "audit:read",
        ),
    ),
    "auditor": (
        "auditor",
        (
            "listings:read",
            "contracts:read",
            "usage:read",
            "billing:read",
            "audit:read",
            "organisations:read",
        ),
    ),
}

DEFAULT_URL = "http://127.0.0.1:8000"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """The demo as `demo.json` remembers it, ready to act against the server at `url`."""

    home: Path
    url: str
    document: Mapping[str, Any]

    def client(self, name: str) -> Client:
        """The OAuth client called `name`: admin, reviewer, auditor, provider or buyer."""
        entry = self.document[name]
        return Client(self.url, entry["client_id"], entry["client_secret"])

    def party(self, name: str) -> Party:
        """The provider or the buyer, with its signing key."""
        entry = self.document[name]
        return Party(
            entry["organisation_id"],
            entry["name"],
            entry["client_id"],
            entry["client_secret"],
            self.client(name),
            load_key_file(self.home / entry["key_file"]),
        )

    def listing(self, name: str) -> Mapping[str, str]:
        """A listing of the demo: `listing_id`, `slug`, `plan_id`."""
        found: Mapping[str, str] = self.document["listings"][name]
        return found


def demo_file(home: Path) -> Path:
    """Where the demo's ids and secrets are kept, mode 0600."""
    return home / "demo.json"


def load_demo(home: Path, url: str | None = None) -> Demo:
    """The demo that was seeded in `home`, at `url` or where it was last started.

    `FileNotFoundError` before it was seeded.
    """
    if not demo_file(home).exists():
        raise FileNotFoundError(f"there is no demo in {home} yet: start it with `make run`")
    document = json.loads(demo_file(home).read_text("utf-8"))
    return Demo(home, url or document.get("url", DEFAULT_URL), document)


def last_url(home: Path) -> str:
    """Where the demo in `home` was last started; a first one starts at `DEFAULT_URL`."""
    with suppress(FileNotFoundError):
        return load_demo(home).url
    return DEFAULT_URL


def seed(home: Path, url: str, upstream: tuple[str, str], say: Say) -> Demo:
    """Make what is missing of the demo; `upstream` is the address and key of its live API.

    Every step is remembered as soon as it is done, so that an interrupted start goes on.
    """
    document = json.loads(demo_file(home).read_text("utf-8"))
    admin = Client(url, document["admin"]["client_id"], document["admin"]["client_secret"])
    at = SystemClock().now()

    def keep(name: str, entry: Mapping[str, Any] | str) -> None:
        document[name] = entry
        write_private(demo_file(home), json.dumps(document, ensure_ascii=False, indent=1).encode())

    if document.get("url") != url:
        keep("url", url)
    _seed_alliance(admin, document, keep)
    reviewer = Client(url, document["reviewer"]["client_id"], document["reviewer"]["client_secret"])
    for name, new in (("provider", PROVIDER), ("buyer", BUYER)):
        if name not in document:
            say(f"registering {new.name}")
            keep(name, _seed_party(home, admin, reviewer, new, f"{name}.key.json", at))
    demo = Demo(home, url, document)
    _seed_listings(demo, reviewer, upstream, keep, say)
    _seed_contracts(Demo(home, url, document), at, keep, say)
    if "payout_account" not in document:
        say("opening the provider's account at the sandbox's Stripe")
        keep("payout_account", _open_payout_account(Demo(home, url, document)))
    return Demo(home, url, document)


def remember_admin(home: Path, client_id: str, secret: str) -> None:
    """Begin `demo.json` with the administrator that `zhigu init` has just made."""
    entry = {"admin": {"client_id": client_id, "client_secret": secret}}
    write_private(demo_file(home), json.dumps(entry).encode())


def _seed_alliance(
    admin: Client, document: dict[str, Any], keep: Callable[[str, Mapping[str, Any]], None]
) -> None:
    operator_id = admin.get(f"{API}/me")["organisation_id"]
    for name, (role, scopes) in ALLIANCE_CLIENTS.items():
        if name not in document:
            body = {"name": name, "scopes": list(scopes), "roles": [role]}
            made = admin.post(f"{API}/organisations/{operator_id}/clients", body)
            keep(name, {key: made[key] for key in ("client_id", "client_secret")})


def _seed_party(
    home: Path, admin: Client, reviewer: Client, new: NewParty, key_file: str, at: datetime
) -> Mapping[str, Any]:
    path = home / key_file
    if not path.exists():
        new_key_file(path)
    party = create_party(admin, reviewer, new, load_key_file(path), at)
    return {
        "organisation_id": party.organisation_id,
        "name": party.name,
        "client_id": party.client_id,
        "client_secret": party.client_secret,
        "key_file": key_file,
    }


def _seed_listings(
    demo: Demo,
    reviewer: Client,
    upstream: tuple[str, str],
    keep: Callable[[str, Mapping[str, Any]], None],
    say: Say,
) -> None:
    provider = demo.party("provider")
    listings = dict(demo.document.get("listings", {}))
    api = divisions_api(f"{upstream[0]}/v1", upstream[1])
    goods: Mapping[str, Goods] = {"gdp": world_gdp(), "divisions": china_divisions(), "api": api}
    for name, good in goods.items():
        if name in listings:
            continue
        say(f"listing {good.listing['metadata']['title']}")
        listed = publish(provider, reviewer, good)
        listings[name] = {
            "listing_id": listed.listing_id,
            "slug": listed.slug,
            "plan_id": listed.plan_id,
        }
        if name == "api":
            listings[name]["base_url"] = upstream[0]
        keep("listings", listings)
    if listings["api"]["base_url"] != upstream[0]:
        path = f"{API}/listings/{listings['api']['listing_id']}/upstream"
        provider.client.call("PUT", path, api.source["upstream"])
        listings["api"] = {**listings["api"], "base_url": upstream[0]}
        keep("listings", listings)


def _seed_contracts(
    demo: Demo,
    at: datetime,
    keep: Callable[[str, Mapping[str, Any]], None],
    say: Callable[[str], None],
) -> None:
    """Contracts that stay in force, so that a newcomer's first call needs no signature."""
    contracts = dict(demo.document.get("contracts", {}))
    today = local_day(at)
    for name, channel in (("divisions", "hosted"), ("api", "upstream")):
        if name in contracts:
            continue
        listing = demo.listing(name)
        say(f"signing a contract for {listing['slug']}")
        wish = Wish(
            listing_id=listing["listing_id"],
            plan_id=listing["plan_id"],
            purpose="INDUSTRY",
            channel=channel,
            starts_on=today,
            ends_on=today + timedelta(days=365),
        )
        contract = sign_contract(demo.party("provider"), demo.party("buyer"), wish, at)
        contracts[name] = contract["id"]
        keep("contracts", contracts)


def _open_payout_account(demo: Demo) -> Mapping[str, Any]:
    """Ask for the provider's connected account and go through its onboarding link."""
    provider = demo.party("provider")
    path = f"{API}/organisations/{provider.organisation_id}/payout-account"
    provider.client.post(path)
    link = until(
        "the onboarding link is there", lambda: provider.client.get(path)["onboarding_url"]
    )
    send("POST", link, b"", {})
    return {"opened": True}
