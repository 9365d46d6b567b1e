"""Signing: only the newest terms, only by the party's own live key, once by each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.accounts.models import SigningKey as KeyRow
from app.audit.models import Leaf
from app.contracts.models import Contract, DataGrant, Negotiation, Signature
from app.contracts.states import NegotiationState
from app.jobs.models import Job
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.kernel.jwk import base64url, new_key
from app.kernel.jws import KEY_PROOF_TYPE, TERMS_TYPE, sign_detached, verify_detached
from tests.contracts.market import API, Market
from tests.contracts.test_negotiating import problem

Forge = Callable[[Market, str], str]


def rows(market: Market, model: Any) -> list[Any]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        return list(session.exec(select(model)).all())


def state_of(market: Market, negotiation_id: str) -> str:
    return str(market.buyer.caller.get(f"{API}/negotiations/{negotiation_id}").json()["state"])


def test_two_signatures_over_the_same_bytes_make_the_contract(market: Market) -> None:
    contract = market.contract()
    assert contract["state"] == "active"
    assert [signature["side"] for signature in contract["signatures"]] == ["provider", "buyer"]
    path = f"{API}/negotiations/{contract['negotiation_id']}/terms"
    terms = market.buyer.caller.get(path).content
    for signature, trader in zip(
        contract["signatures"], (market.provider, market.buyer), strict=True
    ):
        assert signature["organisation_id"] == trader.id
        assert signature["terms_sha256"] == contract["terms_sha256"]
        verify_detached(signature["jws"], terms, trader.key.public, typ=TERMS_TYPE)
    assert contract["starts_at"] == "2026-11-01T16:00:00Z"
    assert contract["ends_at"] == "2027-11-01T16:00:00Z"
    [grant] = contract["grants"]
    assert (grant["live"], grant["epoch"], grant["reason"]) == (True, 1, None)
    jobs = {job.kind: job.payload for job in rows(market, Job)}
    assert jobs == {"grant.apply": {"grant_id": grant["id"]}}
    parties = sorted([market.buyer.id, market.provider.id])
    kinds = Counter(leaf.kind for leaf in rows(market, Leaf) if leaf.organisations == parties)
    assert kinds["contract:signed"] == 2
    assert kinds["contract:finalized"] == kinds["grant:opened"] == 1


def with_type(market: Market, negotiation_id: str) -> str:
    return market.signature(market.provider, negotiation_id, typ=KEY_PROOF_TYPE)


def with_foreign_key(market: Market, negotiation_id: str) -> str:
    return market.signature(market.provider, negotiation_id, key=market.buyer.key)


def with_unknown_key(market: Market, negotiation_id: str) -> str:
    return market.signature(market.provider, negotiation_id, key=new_key())


def over_other_bytes(market: Market, negotiation_id: str) -> str:
    at = market.installation.clock.now()
    return sign_detached(market.provider.key, b"{}", typ=TERMS_TYPE, at=at)


def over_reformatted_terms(market: Market, negotiation_id: str) -> str:
    terms = market.provider.caller.get(f"{API}/negotiations/{negotiation_id}/terms").content
    at = market.installation.clock.now()
    return sign_detached(market.provider.key, terms + b"\n", typ=TERMS_TYPE, at=at)


def in_anothers_name(market: Market, negotiation_id: str) -> str:
    """The provider's kid over a signature by the buyer's key."""
    jws = market.signature(market.provider, negotiation_id)
    header = jws.split(".")[0]
    terms = market.provider.caller.get(f"{API}/negotiations/{negotiation_id}/terms").content
    signed = market.buyer.key.private.sign(f"{header}.{base64url(terms)}".encode())
    return f"{header}..{base64url(signed)}"


def with_payload_attached(market: Market, negotiation_id: str) -> str:
    head, _, tail = market.signature(market.provider, negotiation_id).split(".")
    terms = market.provider.caller.get(f"{API}/negotiations/{negotiation_id}/terms").content
    return f"{head}.{base64url(terms)}.{tail}"


def flipped(market: Market, negotiation_id: str) -> str:
    head, _, tail = market.signature(market.provider, negotiation_id).split(".")
    return f"{head}..{'A' if tail[0] != 'A' else 'B'}{tail[1:]}"


def not_a_jws(market: Market, negotiation_id: str) -> str:
    return "eyJhbGciOiJub25lIn0.."


def of_other_negotiation(market: Market, negotiation_id: str) -> str:
    return market.signature(market.provider, market.request())


FORGED: list[tuple[Forge, str]] = [
    (with_type, "signature-invalid"),
    (with_foreign_key, "signing-key-unknown"),
    (with_unknown_key, "signing-key-unknown"),
    (over_other_bytes, "signature-invalid"),
    (over_reformatted_terms, "signature-invalid"),
    (in_anothers_name, "signature-invalid"),
    (with_payload_attached, "signature-invalid"),
    (flipped, "signature-invalid"),
    (not_a_jws, "signature-invalid"),
    (of_other_negotiation, "signature-invalid"),
]


def test_a_signature_that_does_not_hold_is_refused_and_grants_nothing(market: Market) -> None:
    negotiation_id = market.request()
    for forge, slug in FORGED:
        body = {"signature": forge(market, negotiation_id)}
        answer = market.step(market.provider, negotiation_id, "agree", body)
        assert problem(answer, 422, slug), forge.__name__
    assert state_of(market, negotiation_id) == "REQUESTED"
    assert rows(market, Signature) == rows(market, Contract) == rows(market, DataGrant) == []


def test_nothing_signed_is_refused(market: Market) -> None:
    negotiation_id = market.request()
    nothing: list[Any] = [{}, {"signature": ""}, {"signature": None}, {"custodial": False}]
    for body in nothing:
        answer = market.step(market.provider, negotiation_id, "agree", body)
        problem(answer, 422, "signature-missing")


def test_the_second_signature_is_held_to_the_same_rules(market: Market) -> None:
    negotiation_id = market.request()
    market.sign(market.provider, negotiation_id, "agree")
    providers = market.signature(market.provider, negotiation_id)
    mistyped = market.signature(market.buyer, negotiation_id, typ="JWT")
    for body, slug in (
        ({}, "signature-missing"),
        ({"signature": providers}, "signing-key-unknown"),
        ({"signature": mistyped}, "signature-invalid"),
    ):
        problem(market.step(market.buyer, negotiation_id, "verify", body), 422, slug)
    assert state_of(market, negotiation_id) == "AGREED"
    assert rows(market, Contract) == rows(market, DataGrant) == []
    assert not any(job.kind == "grant.apply" for job in rows(market, Job))


def test_custodial_signing_is_not_offered(market: Market) -> None:
    negotiation_id = market.request()
    answer = market.step(market.provider, negotiation_id, "agree", {"custodial": True})
    problem(answer, 422, "custodial-not-offered")
    signed = {"custodial": True, "signature": market.signature(market.provider, negotiation_id)}
    answer = market.step(market.provider, negotiation_id, "agree", signed)
    problem(answer, 422, "custodial-not-offered")


def test_a_revoked_key_signs_nothing_more_and_what_it_signed_stays(market: Market) -> None:
    signed = market.contract()
    negotiation_id = market.request()
    with market.installation.transaction(OPERATOR) as session:
        key = session.get_one(KeyRow, market.provider.key_id)
        key.revoked_at = market.installation.clock.now()
    body = {"signature": market.signature(market.provider, negotiation_id)}
    answer = market.step(market.provider, negotiation_id, "agree", body)
    problem(answer, 422, "signing-key-revoked")
    shown = market.buyer.caller.get(f"{API}/contracts/{signed['id']}").json()
    assert shown["state"] == "active"


def test_a_signature_over_replaced_terms_is_told_apart(market: Market) -> None:
    negotiation_id = market.request()
    old = market.signature(market.provider, negotiation_id)
    market.step(market.provider, negotiation_id, "offer", {"ends_on": "2026-12-31"})
    market.step(market.buyer, negotiation_id, "accept")
    answer = market.step(market.provider, negotiation_id, "agree", {"signature": old})
    newest = market.buyer.caller.get(f"{API}/negotiations/{negotiation_id}").json()
    assert problem(answer, 409, "terms-replaced")["terms_sha256"] == newest["terms_sha256"]


def test_terms_are_not_signed_after_their_last_day(market: Market, clock: SetClock) -> None:
    negotiation_id = market.request(ends_on="2026-11-03")
    market.sign(market.provider, negotiation_id, "agree")
    body = {"signature": market.signature(market.buyer, negotiation_id)}
    clock.advance(timedelta(days=2))
    problem(market.step(market.buyer, negotiation_id, "verify", body), 409, "terms-lapsed")
    assert rows(market, Contract) == []


def test_each_side_signs_in_its_turn_only(market: Market) -> None:
    negotiation_id = market.request()
    buyers = {"signature": market.signature(market.buyer, negotiation_id)}
    problem(market.step(market.buyer, negotiation_id, "agree", buyers), 403, "not-your-step")
    problem(market.step(market.buyer, negotiation_id, "verify", buyers), 409, "step-not-allowed")
    market.sign(market.provider, negotiation_id, "agree")
    providers = {"signature": market.signature(market.provider, negotiation_id)}
    for verb, status, slug in (
        ("agree", 409, "step-not-allowed"),
        ("verify", 403, "not-your-step"),
    ):
        problem(market.step(market.provider, negotiation_id, verb, providers), status, slug)


def test_a_double_submit_of_fifty_signs_once(market: Market) -> None:
    negotiation_id = market.request()
    body = {"signature": market.signature(market.provider, negotiation_id)}
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(
                lambda _: market.step(market.provider, negotiation_id, "agree", body).status_code,
                range(50),
            )
        )
    assert Counter(answers) == {200: 1, 409: 49}
    assert len(rows(market, Signature)) == 1


def test_signing_and_counter_offers_at_once_have_one_winner(market: Market) -> None:
    negotiation_id = market.request()
    market.step(market.provider, negotiation_id, "offer")
    market.step(market.buyer, negotiation_id, "accept")
    market.sign(market.provider, negotiation_id, "agree")
    body = {"signature": market.signature(market.buyer, negotiation_id)}
    calls: list[tuple[str, Any]] = [
        ("verify", body),
        ("terminate", {"reason": "changed our mind"}),
    ] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda call: market.step(market.buyer, negotiation_id, *call), calls)
        )
    winners = [answer.json()["state"] for answer in answers if answer.status_code == 200]
    assert len(winners) == 1, [answer.text for answer in answers]
    assert {answer.status_code for answer in answers} == {200, 409}
    contracts = rows(market, Contract)
    assert len(contracts) == (1 if winners == ["FINALIZED"] else 0)
    assert len(rows(market, DataGrant)) == len(contracts)


def test_the_store_itself_lets_each_party_sign_a_version_once(market: Market) -> None:
    market.contract()
    first = rows(market, Signature)[0]
    twin = Signature(**{**first.model_dump(), "id": new_id("sig")})
    with pytest.raises(IntegrityError), market.installation.transaction(OPERATOR) as session:
        session.add(twin)
        session.flush()


def test_a_repeated_request_under_its_key_gets_the_same_answer(market: Market) -> None:
    negotiation_id = market.request()
    body = {"signature": market.signature(market.provider, negotiation_id)}
    path = f"{API}/negotiations/{negotiation_id}/agree"
    headers = {"Idempotency-Key": "agree-once"}
    first, second = (
        market.provider.caller.post(path, json=body, headers=headers) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content


def test_a_signature_may_name_its_key_by_id(market: Market) -> None:
    negotiation_id = market.request()
    terms = market.provider.caller.get(f"{API}/negotiations/{negotiation_id}/terms").content
    named = {"alg": "EdDSA", "kid": market.provider.key_id, "iat": 1, "typ": TERMS_TYPE}
    header = base64url(json.dumps(named).encode())
    signed = market.provider.key.private.sign(f"{header}.{base64url(terms)}".encode())
    body = {"signature": f"{header}..{base64url(signed)}"}
    assert market.step(market.provider, negotiation_id, "agree", body).status_code == 200
    assert rows(market, Negotiation)[0].state is NegotiationState.AGREED
