"""Granting: what metering is told, and that every word of it stands in the signed terms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select

from app.accounts.models import Organisation
from app.contracts import granting
from app.contracts.granting import APPLY, REFRESH, compiled_grant
from app.contracts.models import DataGrant
from app.contracts.tasks import JOBS, follow_upstream
from app.jobs.models import Job
from app.jobs.queue import enqueue
from app.jobs.worker import Worker
from app.kernel.actor import OPERATOR
from app.kernel.clock import epoch_us
from app.listings.attaching import UPSTREAM_CHANGED
from app.listings.codes import Delivery
from app.listings.models import Listing, PlanRow, UpstreamApi
from app.listings.upstreams import AuthKind
from app.metering.grants import compiled_from
from tests.contracts.market import Market
from tests.listings.examples import per_unit_plan


def compiled(market: Market, contract: dict[str, Any]) -> dict[str, Any]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        document = compiled_grant(session, contract["grants"][0]["id"])
    compiled_from(document)
    return document


def told(market: Market, grant_id: str) -> list[str]:
    """The jobs that tell metering of a grant, each with the epoch that it brings into force."""
    with market.installation.transaction(OPERATOR, writes=False) as session:
        told_by = select(Job).where(col(Job.kind).in_((APPLY, REFRESH))).order_by(Job.id)
        jobs = [job for job in session.exec(told_by) if job.payload["grant_id"] == grant_id]
    return [f"{job.kind}:{str(job.dedupe_key).rpartition(':')[2]}" for job in jobs]


def shanghai_midnight(year: int, month: int, day: int) -> int:
    """Microseconds of the first moment of a day in Asia/Shanghai, by hand: eight hours ahead."""
    return epoch_us(datetime(year, month, day, tzinfo=UTC)) - 8 * 3_600_000_000


def test_a_compiled_grant_says_all_that_was_signed(market: Market) -> None:
    plan = per_unit_plan(
        quotas=[
            {"window": "contract", "limit_units": 100, "overage": "block"},
            {"window": "day", "limit_units": None},
        ],
        rate={"per_second": 50, "burst": 100},
        billable_statuses=[200, 203, 206],
    )
    goods = market.list_goods(plan=plan, count=40, columns=["Value"], rows="Value > 1")
    contract = market.contract(goods)
    [grant] = contract["grants"]
    assert compiled(market, contract) == {
        "grant_id": grant["id"],
        "contract_id": contract["id"],
        "listing_id": goods.listing_id,
        "slug": contract["slug"],
        "version_id": goods.version_id,
        "buyer_id": market.buyer.id,
        "provider_id": market.provider.id,
        "plan_id": goods.plan_id,
        "terms_sha256": contract["terms_sha256"],
        "epoch": 1,
        "live": True,
        "reason": None,
        "starts_at_us": shanghai_midnight(2026, 11, 2),
        "ends_at_us": shanghai_midnight(2027, 11, 2),
        "delivery": "hosted",
        "purpose": "RESEARCH",
        "purposes_allowed": ["RESEARCH", "INDUSTRY"],
        "channels_allowed": ["hosted"],
        "columns": ["Value"],
        "row_filter": "Value > 1",
        "meter": "call",
        "billable_statuses": [200, 203, 206],
        "windows": [
            {"name": "quota-0", "window": "contract", "limit_units": 100, "overage": "block"},
            {"name": "quota-1", "window": "day", "limit_units": None, "overage": "block"},
            {"name": "licence-count", "window": "contract", "limit_units": 40, "overage": "block"},
        ],
        "rate": {"per_second": 50, "burst": 100},
        "file": {
            "name": "gdp.csv",
            "path": "ef/gdp.parquet",
            "rows": 13_978,
            "sha256": "ef" * 32,
            "columns": [
                {"name": "Country Name", "type": "VARCHAR"},
                {"name": "Value", "type": "DOUBLE"},
            ],
        },
        "upstream": None,
    }


def test_a_plain_licence_and_plan_bind_nothing_more(market: Market) -> None:
    goods = market.list_goods(plan=per_unit_plan(quotas=[]), purposes=None)
    document = compiled(market, market.contract(goods, purpose="INTERNAL"))
    assert document["windows"] == []
    assert (document["rate"], document["columns"]) == (None, None)
    assert document["billable_statuses"] is None
    assert len(document["purposes_allowed"]) == 6


def test_the_licence_cuts_the_days_that_were_agreed(market: Market) -> None:
    agreed = {"starts_on": "2026-11-02", "ends_on": "2026-12-31"}
    for licence, first, last in (
        ({"ends_on": "2026-11-30"}, (2026, 11, 2), (2026, 12, 1)),
        ({"starts_on": "2026-11-10"}, (2026, 11, 10), (2027, 1, 1)),
        ({"days": 10}, (2026, 11, 2), (2026, 11, 12)),
        ({"days": 10, "starts_on": "2026-12-30"}, (2026, 12, 30), (2027, 1, 1)),
        ({"ends_on": "2030-01-01"}, (2026, 11, 2), (2027, 1, 1)),
    ):
        document = compiled(market, market.contract(market.list_goods(**licence), **agreed))
        assert document["starts_at_us"] == shanghai_midnight(*first), licence
        assert document["ends_at_us"] == shanghai_midnight(*last), licence


def test_an_upstream_is_told_with_its_credential_sealed(market: Market) -> None:
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    document = compiled(market, market.contract(goods, channel="upstream"))
    assert document["file"] is None
    assert document["channels_allowed"] == ["upstream"]
    assert document["upstream"] == {
        "listing_id": goods.listing_id,
        "base_url": "https://api.provider.example/v1",
        "auth": {"kind": "header", "name": "X-Api-Key", "sealed": "v1.test.a.b"},
        "timeout_s": 10,
        "body_max_bytes": 1_000_000,
        "methods": ["GET", "POST"],
    }


def test_what_a_way_of_authentication_needs_beside_its_secret_is_told(market: Market) -> None:
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    contract = market.contract(goods, channel="upstream")
    details = {"token_url": "https://login.provider.example/token", "scope": "read"}
    with market.installation.transaction(OPERATOR) as session:
        upstream = session.get_one(UpstreamApi, goods.listing_id)
        upstream.auth_kind, upstream.auth_name = AuthKind.OAUTH, "zhigu"
        upstream.auth_details = details
    told = compiled(market, contract)["upstream"]["auth"]
    assert told == {"kind": "oauth", "name": "zhigu", "sealed": "v1.test.a.b", **details}


def test_what_changes_outside_the_terms_changes_no_grant(market: Market) -> None:
    contract = market.contract()
    before = compiled(market, contract)
    with market.installation.transaction(OPERATOR) as session:
        listing = session.get_one(Listing, market.goods.listing_id)
        listing.slug = "renamed"
        listing.licence = {}
        session.get_one(PlanRow, market.goods.plan_id).document = {}
        session.get_one(Organisation, market.buyer.id).name = "改名有限公司"
    assert compiled(market, contract) == before


def test_a_new_credential_is_a_new_epoch_of_every_living_grant_on_it(market: Market) -> None:
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    living, ended = (market.contract(goods, channel="upstream") for _ in range(2))
    elsewhere = market.contract()
    market.contract_step(market.buyer, ended["id"], "end")
    with market.installation.transaction(OPERATOR) as session:
        session.get_one(UpstreamApi, goods.listing_id).sealed = "v1.test.c.d"
        enqueue(session, UPSTREAM_CHANGED, listing_id=goods.listing_id)
    assert Worker(market.installation, JOBS).run_due() == 1
    document = compiled(market, living)
    assert document["upstream"]["auth"]["sealed"] == "v1.test.c.d"
    assert (document["epoch"], document["live"]) == (2, True)
    grant_id = living["grants"][0]["id"]
    assert told(market, grant_id) == ["grant.apply:1", "grant.refresh:2"], "cuts go first"
    assert compiled(market, ended)["epoch"] == 2
    assert compiled(market, elsewhere)["epoch"] == 1


def test_grants_are_told_some_at_a_time_and_every_one_once(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granting, "AT_ONCE", 2)
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    contracts = [market.contract(goods, channel="upstream") for _ in range(3)]
    follow_upstream(market.installation, {"listing_id": goods.listing_id})
    assert [compiled(market, contract)["epoch"] for contract in contracts] == [2, 2, 2]


def test_a_new_version_moves_no_signed_contract_and_gives_it_no_method(market: Market) -> None:
    """The content hash in the signed terms holds the address: the provider cannot swap the data."""
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    contract = market.contract(goods, channel="upstream")
    with market.installation.transaction(OPERATOR) as session:
        upstream = session.get_one(UpstreamApi, goods.listing_id)
        upstream.base_url, upstream.methods = "https://new.provider.example", ["HEAD"]
        enqueue(session, UPSTREAM_CHANGED, listing_id=goods.listing_id)
    Worker(market.installation, JOBS).run_due()
    told = compiled(market, contract)["upstream"]
    assert told["base_url"] == "https://api.provider.example/v1"
    assert told["methods"] == ["GET", "POST"]


def test_every_contract_has_exactly_one_grant(market: Market) -> None:
    contracts = [market.contract() for _ in range(2)]
    with market.installation.transaction(OPERATOR, writes=False) as session:
        grants = session.exec(select(DataGrant)).all()
    assert {grant.contract_id for grant in grants} == {contract["id"] for contract in contracts}
    assert len(grants) == 2
