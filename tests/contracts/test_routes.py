"""Over HTTP: who may have which row, what is malformed, and how lists go on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlmodel import select

from app.contracts.models import Negotiation
from app.contracts.routes import ROUTERS
from app.kernel.actor import OPERATOR
from tests.conftest import Caller
from tests.contracts.market import API, SCOPES, Market
from tests.contracts.test_negotiating import problem

NEGOTIATION_STEPS: dict[str, Any] = {
    "offer": {},
    "counter": {},
    "accept": {},
    "agree": {"signature": "a..b"},
    "verify": {"custodial": True},
    "terminate": {"reason": "none of it"},
}
CONTRACT_STEPS: dict[str, Any] = {
    "suspend": {},
    "resume": {},
    "end": {},
    "unit-grants": {"kind": "top_up", "units": 5},
}
UNKNOWN_ID = "01k9zzzzzzzzzzzzzzzzzzzzzz"


def every_call(caller: Caller, negotiation_id: str, contract_id: str) -> dict[str, Any]:
    """An answer of each route that names a row."""
    negotiation = f"{API}/negotiations/{negotiation_id}"
    contract = f"{API}/contracts/{contract_id}"
    answers = {path: caller.get(path) for path in (negotiation, f"{negotiation}/terms", contract)}
    for verb, body in NEGOTIATION_STEPS.items():
        answers[verb] = caller.post(f"{negotiation}/{verb}", json=body)
    for verb, body in CONTRACT_STEPS.items():
        answers[verb] = caller.post(f"{contract}/{verb}", json=body)
    return answers


def test_every_route_with_an_id_is_called_here() -> None:
    with_id = [route for handler in ROUTERS for route in handler.paths if "{" in route]
    assert len(with_id) == 3 + len(NEGOTIATION_STEPS) + len(CONTRACT_STEPS)


def test_a_foreign_id_is_not_found_exactly_like_a_missing_one(market: Market) -> None:
    contract = market.contract()
    rows = (contract["negotiation_id"], contract["id"])
    missing = (f"neg_{UNKNOWN_ID}", f"ctr_{UNKNOWN_ID}")
    admin_like = market.api.as_client(market.stranger.id, *SCOPES, "admin", "audit:read")
    for caller in (market.stranger.caller, admin_like):
        for answers in (every_call(caller, *rows), every_call(caller, *missing)):
            bodies = []
            for answer in answers.values():
                body = problem(answer, 404, "not-found")
                del body["request_id"]
                bodies.append(body)
            assert all(body == bodies[0] for body in bodies)
        for path in ("negotiations", "contracts"):
            assert caller.get(f"{API}/{path}").json() == {"items": [], "next_cursor": None}
    shown = market.buyer.caller.get(f"{API}/contracts/{contract['id']}").json()
    assert shown == contract


def test_an_id_that_is_none_is_not_found_either(market: Market) -> None:
    for odd in ("%00", "a%00b", "ctr_", "neg_%F0%9F%98%80", "x" * 5000, "'%20OR%201=1--", "%FF"):
        for answer in every_call(market.buyer.caller, odd, odd).values():
            assert answer.status_code in (400, 404), (odd, answer.text)
    path = f"{API}/negotiations/{market.request()}/terms"
    for number in ("0", "-1", str(2**31), str(2**63), str(2**70), "1.5", "one"):
        answer = market.buyer.caller.get(path, params={"number": number})
        assert answer.status_code in (400, 404), (number, answer.text)


def test_the_alliance_reads_and_does_not_negotiate(market: Market) -> None:
    contract = market.contract()
    operator = market.api.as_client("org_operator", *SCOPES, roles=["auditor"])
    admin = market.api.as_client("org_operator", *SCOPES, "admin", roles=["admin"])
    for caller in (operator, admin):
        for path in (f"contracts/{contract['id']}", f"negotiations/{contract['negotiation_id']}"):
            assert caller.get(f"{API}/{path}").status_code == 200
        assert len(caller.get(f"{API}/contracts").json()["items"]) == 1
        open_id = market.request()
        for verb, body in NEGOTIATION_STEPS.items():
            answer = caller.post(f"{API}/negotiations/{open_id}/{verb}", json=body)
            assert answer.status_code in (403, 409), answer.text
    suspend = f"{API}/contracts/{contract['id']}/suspend"
    problem(operator.post(suspend, json={}), 403, "not-your-step")
    held = admin.post(suspend, json={"reason": "投诉处理"}).json()
    assert held["holds"][0]["side"] == "alliance"
    answer = market.contract_step(market.provider, contract["id"], "resume")
    problem(answer, 403, "not-your-step")


def test_reading_writing_and_signing_are_separate_scopes(market: Market) -> None:
    contract = market.contract()
    open_id = market.request()
    wanted = {
        "contracts:read": {f"{API}/negotiations/{open_id}", f"{API}/contracts"},
        "contracts:write": {"offer", "terminate"},
        "contracts:sign": {"agree", "verify"},
    }
    for scope in wanted:
        caller = market.api.as_client(market.provider.id, scope)
        for other, calls in wanted.items():
            for call in calls:
                if call.startswith("/"):
                    answer = caller.get(call)
                else:
                    answer = caller.post(
                        f"{API}/negotiations/{open_id}/{call}", json=NEGOTIATION_STEPS[call]
                    )
                assert (answer.status_code == 403) == (scope != other), call
        ended = caller.post(f"{API}/contracts/{contract['id']}/end", json={})
        assert (ended.status_code == 403) == (scope != "contracts:write")
    for answer in every_call(market.api.anonymous(), open_id, contract["id"]).values():
        assert problem(answer, 401, "not-signed-in")


MALFORMED: list[tuple[str, Any]] = [
    ("", {}),
    ("", {"purpose": "FUN"}),
    ("", {"channel": "post"}),
    ("", {"starts_on": "2026-02-30"}),
    ("", {"starts_on": "2026-11-02T00:00:00Z"}),
    ("", {"starts_on": 20261102}),
    ("", {"listing_id": 5}),
    ("", {"listing_id": "x" * 41}),
    ("", {"extra": 1}),
    ("", {"plan_id": None}),
    ("/offer", {"extra": 1}),
    ("/offer", {"plan_id": None}),
    ("/offer", {"quotas": {}}),
    ("/offer", {"quotas": [{"window": "hour", "limit_units": 5}]}),
    ("/offer", {"quotas": [{"window": "day", "limit_units": "5"}]}),
    ("/offer", {"quotas": [{"window": "day", "limit_units": 1.5}]}),
    ("/offer", {"rate": {"per_second": 5}}),
    ("/offer", {"liability": ""}),
    ("/offer", {"liability": "a\u0000b"}),
    ("/offer", {"liability": "a\u202eb"}),
    ("/offer", {"ends_on": "2026-13-01"}),
    ("/agree", {"signature": 5}),
    ("/agree", {"custodial": "yes"}),
    ("/agree", {"signature": "a" * 20_000}),
    ("/agree", {"proof": "x"}),
    ("/terminate", {}),
    ("/terminate", {"reason": ""}),
    ("/terminate", {"reason": "x" * 501}),
]


def test_what_cannot_be_read_is_a_400_and_changes_nothing(market: Market) -> None:
    open_id = market.request()
    for path, change in MALFORMED:
        if path:
            answer = market.step(market.provider, open_id, path[1:], change)
        else:
            body = {**market.wish(), **change} if change else {}
            answer = market.buyer.caller.post(f"{API}/negotiations", json=body)
        assert problem(answer, 400, "malformed"), change
    for content in (b"", b"[]", b"null", b"\xff", b"[" * 5000):
        headers = {"Content-Type": "application/json"}
        for verb in ("offer", "agree", "terminate"):
            path = f"{API}/negotiations/{open_id}/{verb}"
            answer = market.provider.caller.post(path, content=content, headers=headers)
            assert problem(answer, 400, "malformed"), (verb, content[:10])
    shown = market.buyer.caller.get(f"{API}/negotiations/{open_id}").json()
    assert (shown["state"], shown["terms_number"]) == ("REQUESTED", 1)


def test_quotas_that_no_plan_could_have_are_a_422(market: Market) -> None:
    open_id = market.request()
    twice = [{"window": "day", "limit_units": 5}] * 2
    answer = market.step(market.provider, open_id, "offer", {"quotas": twice})
    problem(answer, 422, "plan-refused")
    endless = {"quotas": [{"window": "day", "limit_units": 2**53}]}
    problem(market.step(market.provider, open_id, "offer", endless), 422, "plan-refused")


def test_texts_in_terms_come_out_in_one_normal_form(market: Market) -> None:
    open_id = market.request()
    market.step(market.provider, open_id, "offer", {"liability": "Cafe\u0301\nline two"})
    terms = market.buyer.caller.get(f"{API}/negotiations/{open_id}/terms").json()
    assert terms["liability"] == "Caf\u00e9\nline two"


def test_lists_go_on_by_cursor_and_by_state(market: Market) -> None:
    made = [market.request() for _ in range(3)]
    market.step(market.provider, made[1], "offer")
    path = f"{API}/negotiations"
    first = market.provider.caller.get(path, params={"limit": 2}).json()
    assert [item["id"] for item in first["items"]] == [made[2], made[1]]
    rest = market.provider.caller.get(path, params={"cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in rest["items"]] == [made[0]]
    offered = market.buyer.caller.get(path, params={"state": "OFFERED"}).json()
    assert [item["id"] for item in offered["items"]] == [made[1]]
    problem(market.buyer.caller.get(path, params={"state": "ODD"}), 400, "malformed")
    contract = market.contract()
    contracts = market.provider.caller.get(f"{API}/contracts", params={"state": "active"}).json()
    assert contracts["items"] == [contract]
    none = market.provider.caller.get(f"{API}/contracts", params={"state": "ended"}).json()
    assert none["items"] == []


def test_a_list_asks_the_store_as_often_for_many_rows_as_for_one(market: Market) -> None:
    counts = []
    for _ in range(2):
        market.contract()
        statements: list[str] = []

        def count(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
            statements.append(statement)  # noqa: B023 - removed again below

        event.listen(market.installation.market, "before_cursor_execute", count)
        for path in ("contracts", "negotiations"):
            assert market.buyer.caller.get(f"{API}/{path}").status_code == 200
        event.remove(market.installation.market, "before_cursor_execute", count)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_same_request_under_one_key_opens_one_negotiation(market: Market) -> None:
    headers = {"Idempotency-Key": "want-it"}
    answers = [
        market.buyer.caller.post(f"{API}/negotiations", json=market.wish(), headers=headers)
        for _ in range(2)
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    with market.installation.transaction(OPERATOR, writes=False) as session:
        assert len(session.exec(select(Negotiation)).all()) == 1


def test_the_api_document_describes_every_operation(market: Market) -> None:
    document = market.api.anonymous().get("/openapi.json").json()
    for handler in ROUTERS:
        for path in handler.paths:
            assert path.replace(":str", "") in document["paths"], path
