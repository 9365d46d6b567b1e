"""Upstreams over HTTP: how one is called, what is frozen of it, and what never comes back."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from sqlmodel import col, select

from app.jobs.models import Job
from app.kernel import addresses
from app.kernel.actor import OPERATOR
from app.listings import data_routes
from app.listings.models import ListingVersion, UpstreamApi
from tests.listings.certificates import client_certificate
from tests.listings.examples import licence_terms, per_unit_plan
from tests.listings.shop import API, Shop, good, refused

PUBLIC = "https://93.184.215.14/v1"


OAUTH = {
    "kind": "oauth",
    "name": "zhigu",
    "secret": "top-secret-key",
    "token_url": "https://93.184.215.14/oauth/token/",
    "scope": "read write",
}


def upstream(**changes: Any) -> dict[str, Any]:
    auth = {"kind": "header", "name": "X-Api-Key", "secret": "top-secret-key"}
    return {"base_url": PUBLIC, "auth": auth, **changes}


def test_an_upstream_is_kept_with_its_secret_sealed(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    path = f"{API}/{listing_id}/upstream"
    answer = shop.provider.put(path, json=upstream(timeout_s=5, body_max_bytes=2_000_000))
    assert good(answer) == {
        "base_url": PUBLIC,
        "next_base_url": None,
        "methods": ["GET"],
        "next_methods": None,
        "auth_kind": "header",
        "auth_name": "X-Api-Key",
        "auth_details": None,
        "timeout_s": 5,
        "body_max_bytes": 2_000_000,
        "set_at": "2026-11-02T01:00:00Z",
    }
    assert "top-secret-key" not in shop.provider.get(f"{API}/{listing_id}").text
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        row = session.get_one(UpstreamApi, listing_id)
        jobs = list(session.exec(select(Job.kind)))
    assert row.sealed is not None
    assert "top-secret-key" not in row.sealed
    keys = shop.installation.keys
    assert keys.unseal(row.sealed, f"upstream:{listing_id}") == b"top-secret-key"
    assert jobs == [], "no grant can have been made yet"
    assert shop.leaves(listing_id)[-1] == "listing:upstream_set"


def test_an_oauth_client_is_kept_with_its_token_endpoint_and_its_secret_sealed(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    body = upstream(auth=OAUTH, methods=["POST", "GET", "POST"])
    kept = good(shop.provider.put(f"{API}/{listing_id}/upstream", json=body))
    assert (kept["methods"], kept["auth_kind"], kept["auth_name"]) == (
        ["GET", "POST"],
        "oauth",
        "zhigu",
    )
    assert kept["auth_details"] == {"token_url": OAUTH["token_url"], "scope": "read write"}
    assert "top-secret-key" not in shop.provider.get(f"{API}/{listing_id}").text


def test_a_client_certificate_is_shown_and_its_key_never(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    path = f"{API}/{listing_id}/upstream"
    certificate, key = client_certificate(shop.installation.clock.now())
    auth = {"kind": "mtls", "certificate": certificate, "secret": key}
    kept = good(shop.provider.put(path, json=upstream(auth=auth)))
    assert kept["auth_details"] == {"certificate": certificate}
    assert "PRIVATE" not in shop.provider.get(f"{API}/{listing_id}").text
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        sealed = session.get_one(UpstreamApi, listing_id).sealed
    assert sealed is not None
    assert shop.installation.keys.unseal(sealed, f"upstream:{listing_id}").decode() == key
    plain = upstream(auth=auth, base_url="http://93.184.215.14/v1")
    refused(shop.provider.put(path, json=plain), 422, "credential-refused")


def test_an_upstream_without_authentication_has_no_secret(shop: Shop) -> None:
    listing_id = shop.draft(delivery="upstream")
    path = f"{API}/{listing_id}/upstream"
    good(shop.provider.put(path, json=upstream()))
    assert good(shop.provider.put(path, json={"base_url": PUBLIC}))["auth_kind"] == "none"
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        assert session.get_one(UpstreamApi, listing_id).sealed is None


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"base_url": "http://127.0.0.1:8080"}, 422, "address-refused"),
        ({"base_url": "http://169.254.169.254/latest"}, 422, "address-refused"),
        ({"base_url": "http://[::1]:8080"}, 422, "address-refused"),
        ({"base_url": "http://2130706433/"}, 422, "address-refused"),
        ({"base_url": "ftp://93.184.215.14"}, 422, "address-refused"),
        ({"base_url": "https://user:pw@93.184.215.14"}, 422, "address-refused"),
        ({"base_url": "https://93.184.215.14/a/../b"}, 422, "address-refused"),
        ({"base_url": ""}, 400, "malformed"),
        ({"base_url": PUBLIC, "timeout_s": 0}, 400, "malformed"),
        ({"base_url": PUBLIC, "timeout_s": 61}, 400, "malformed"),
        ({"base_url": PUBLIC, "timeout_s": 1.5}, 400, "malformed"),
        ({"base_url": PUBLIC, "body_max_bytes": 10**12}, 400, "malformed"),
        ({"base_url": PUBLIC, "billable_statuses": [500]}, 400, "malformed"),
        ({"base_url": PUBLIC, "auth": {"kind": "kerberos"}}, 400, "malformed"),
        ({"base_url": PUBLIC, "methods": []}, 400, "malformed"),
        ({"base_url": PUBLIC, "methods": ["DELETE"]}, 400, "malformed"),
        ({"base_url": PUBLIC, "auth": OAUTH | {"token_url": ""}}, 422, "credential-refused"),
        (
            {"base_url": PUBLIC, "auth": OAUTH | {"token_url": "http://169.254.169.254/token"}},
            422,
            "address-refused",
        ),
        ({"base_url": PUBLIC, "auth": {"kind": "header"}}, 422, "credential-refused"),
        (
            {"base_url": PUBLIC, "auth": {"kind": "header", "name": "Host", "secret": "x"}},
            422,
            "credential-refused",
        ),
        ({}, 400, "malformed"),
    ],
)
def test_an_upstream_that_may_not_be_called_is_refused(
    shop: Shop, body: dict[str, Any], status: int, slug: str
) -> None:
    listing_id = shop.draft(delivery="upstream")
    refused(shop.provider.put(f"{API}/{listing_id}/upstream", json=body), status, slug)
    assert shop.see(listing_id)["upstream"] is None


def test_a_name_that_points_inside_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", inside)
    path = f"{API}/{shop.draft(delivery='upstream')}/upstream"
    answer = shop.provider.put(path, json=upstream(base_url="https://api.example.com"))
    refused(answer, 422, "address-refused")


def test_no_name_is_looked_up_for_who_may_not_set_it_nor_too_many_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer_all(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", answer_all)
    body = upstream(base_url="https://api.example.com")
    path = f"{API}/{shop.draft(delivery='upstream')}/upstream"
    refused(shop.rival.put(path, json=body), 404, "not-found")
    refused(
        shop.provider.put(f"{API}/{shop.draft('two')}/upstream", json=body), 422, "delivery-differs"
    )
    with monkeypatch.context() as patch:
        patch.setattr(data_routes, "_lookups", threading.BoundedSemaphore(1))
        data_routes._lookups.acquire()
        refused(shop.provider.put(path, json=body), 503, "unavailable")
    assert asked == []
    for _ in range(data_routes.LOOKUPS_AT_ONCE + 1):  # each gives its turn back
        good(shop.provider.put(path, json=body))
    assert asked


def test_an_upstream_for_a_hosted_listing_is_refused(shop: Shop) -> None:
    listing_id = shop.draft()
    answer = shop.provider.put(f"{API}/{listing_id}/upstream", json=upstream())
    refused(answer, 422, "delivery-differs")
    refused(shop.rival.put(f"{API}/{listing_id}/upstream", json=upstream()), 404, "not-found")


def proxied(shop: Shop) -> str:
    listing_id = shop.draft(
        "proxied", "upstream", delivery_modes=["upstream"], form="DATASET", format="API"
    )
    body = {"base_url": "https://93.184.215.14/v1"}
    good(shop.provider.put(f"{API}/{listing_id}/upstream", json=body))
    good(shop.provider.put(f"{API}/{listing_id}/licence", json=licence_terms()))
    good(shop.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan()))
    shop.approve(listing_id)
    return listing_id


def jobs(shop: Shop) -> list[tuple[str, Any]]:
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        return [(job.kind, job.payload) for job in session.exec(select(Job).order_by(col(Job.id)))]


def test_the_credential_of_an_upstream_on_sale_may_change_and_grants_are_told(shop: Shop) -> None:
    listing_id = proxied(shop)
    assert jobs(shop) == []
    auth = {"kind": "basic", "name": "user", "secret": "password"}
    body = {"base_url": "https://93.184.215.14/v1", "auth": auth}
    good(shop.provider.put(f"{API}/{listing_id}/upstream", json=body))
    assert jobs(shop) == [("listing.upstream_changed", {"listing_id": listing_id})]


def test_address_and_methods_on_sale_change_with_an_approved_version(shop: Shop) -> None:
    listing_id = proxied(shop)
    moved = {"base_url": "https://93.184.215.15/v2", "methods": ["GET", "POST"]}
    path = f"{API}/{listing_id}/upstream"
    refused(shop.provider.put(path, json=moved), 409, "new-version-needed")
    more = {"base_url": "https://93.184.215.14/v1", "methods": ["POST"]}
    refused(shop.provider.put(path, json=more), 409, "new-version-needed")
    good(shop.step(shop.provider, listing_id, "new-version"))
    planned = good(shop.provider.put(path, json=moved))
    assert planned["base_url"] == "https://93.184.215.14/v1"
    assert planned["next_base_url"] == "https://93.184.215.15/v2"
    assert (planned["methods"], planned["next_methods"]) == (["GET"], ["GET", "POST"])
    good(shop.step(shop.provider, listing_id, "submit"))
    refused(
        shop.provider.put(path, json={"base_url": "https://93.184.215.16"}),
        409,
        "new-version-needed",
    )
    good(shop.step(shop.reviewer, listing_id, "review", decision="approve"))
    with shop.installation.transaction(OPERATOR, writes=False) as session:
        upstream = session.get_one(UpstreamApi, listing_id)
        versions = session.exec(select(ListingVersion).order_by(col(ListingVersion.number)))
        frozen = [version.upstream for version in versions]
    assert (upstream.base_url, upstream.next_base_url) == ("https://93.184.215.15/v2", None)
    assert (upstream.methods, upstream.next_methods) == (["GET", "POST"], None)
    assert frozen == [
        {"base_url": "https://93.184.215.14/v1", "methods": ["GET"]},
        {"base_url": "https://93.184.215.15/v2", "methods": ["GET", "POST"]},
    ]
    assert jobs(shop)[-1] == ("listing.upstream_changed", {"listing_id": listing_id})
