"""The tenant matrix: who gets which rows, by every route that names one.

For whoever may not have it a row does not exist: a foreign id, a missing one, one of another kind
and plain garbage get the same answer, and nothing changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from app.kernel.ids import new_id
from tests.matrix.calling import KINDS, call, missing_ids, problem
from tests.matrix.examples import BODIES
from tests.matrix.policy import ANYONE, NOBODY, Row, rows
from tests.matrix.routes import Operation, operations
from tests.matrix.snapshots import changes, snapshot
from tests.matrix.world import ALLIANCE, VIEWPOINTS, World

IDS_ASKED: dict[str, Callable[[World], str]] = {
    "contract_id": lambda world: world.sale.ids["sale"]["contract_id"],
    "invoice_id": lambda world: world.sale.ids["sale"]["invoice_id"],
    "grant_id": lambda world: world.sale.ids["sale"]["grant_id"],
    "listing_id": lambda world: world.sale.ids["draft"]["listing_id"],
    "subject": lambda world: world.sale.ids["sale"]["contract_id"],
    "account": lambda world: f"receivable:{world.sale.buyer.id}",
    "cause": lambda world: world.sale.ids["sale"]["payment_id"],
}
"""The first sale's ids that a stranger may ask for by query parameters of these names."""
GARBAGE = ("ctr_", "nothing", "0", "%F0%9F%92%A9", "ctr_01k9zzzzzzzzzzzzzzzzzzzzzz'--")


def test_every_row_knows_the_ids_that_its_path_names(world: World) -> None:
    for row in tenant_rows():
        operation = operations()[row.operation]
        missing = set(operation.path_parameters) - set(world.sale.ids[row.ids])
        assert not missing, f"{row.label}: let tests/matrix/selling.py make {missing}"
        for name, kind in operation.path_parameters.items():
            assert kind is int or name in KINDS, f"{row.label}: what kind of id is {name}?"


def test_a_row_that_is_not_yours_does_not_exist_and_stays_as_it_is(world: World) -> None:
    for row in tenant_rows():
        operation, ids = operations()[row.operation], world.sale.ids[row.ids]
        before = snapshot(world.installation)
        for viewpoint in VIEWPOINTS:
            if may_not_call(row, viewpoint) or sees(row, viewpoint):
                continue
            caller = world.callers[viewpoint]
            label = f"{viewpoint}: {row.label}"
            reference = problem(call(caller, operation, missing_ids(operation)), label)
            assert reference["status"] == (404 if has_role(row, viewpoint) else 403), label
            assert problem(call(caller, operation, ids), label) == reference, label
        assert not changes(before, snapshot(world.installation)), row.label


def test_a_missing_a_misfit_and_a_mangled_id_are_all_alike(world: World) -> None:
    for row in tenant_rows():
        operation = operations()[row.operation]
        before = snapshot(world.installation)
        for viewpoint in ("other_buyer", *sorted(row.seen_by & set(ALLIANCE))[:1], "provider"):
            if may_not_call(row, viewpoint) or not has_role(row, viewpoint):
                continue
            reference = None
            for values in strange_ids(world, row, operation):
                label = f"{viewpoint}: {row.label} with {values}"
                found = problem(call(world.callers[viewpoint], operation, values), label)
                reference = reference or found
                assert found == reference, label
                assert found["status"] == 404, label
        assert not changes(before, snapshot(world.installation)), row.label


def test_whoever_only_sees_a_row_is_told_so_and_leaves_it_as_it_is(world: World) -> None:
    for row in tenant_rows():
        before = snapshot(world.installation)
        for viewpoint in sorted(row.seen_by - row.done_by):
            label = f"{viewpoint}: {row.label}"
            operation, ids = operations()[row.operation], world.sale.ids[row.ids]
            found = problem(call(world.callers[viewpoint], operation, ids), label)
            assert found["status"] == 403, label
        assert not changes(before, snapshot(world.installation)), row.label


def test_whoever_may_have_a_row_gets_it_and_no_secret_of_another(busy_world: World) -> None:
    for row in sorted(tenant_rows(), key=lambda row: not row.operation.startswith("GET")):
        operation, ids = operations()[row.operation], busy_world.sale.ids[row.ids]
        for viewpoint in VIEWPOINTS:
            if may_not_call(row, viewpoint) or not may_act(row, viewpoint):
                continue
            label = f"{viewpoint}: {row.label}"
            answer = call(busy_world.callers[viewpoint], operation, ids)
            assert answer.status_code in expected_of(operation), f"{label}: {answer.text}"
            tells_no_secret(busy_world, viewpoint, answer, label)


def test_a_list_holds_nothing_of_another(world: World) -> None:
    lists = [row for row in rows() if row.operation.startswith("GET") and not row.ids]
    assert lists
    for row in lists:
        for viewpoint in VIEWPOINTS:
            if may_not_call(row, viewpoint):
                continue
            label = f"{viewpoint}: {row.label}"
            answer = call(world.callers[viewpoint], operations()[row.operation], {})
            assert answer.status_code < 500, f"{label}: {answer.text}"
            tells_no_secret(world, viewpoint, answer, label)


def test_an_id_in_a_query_finds_nothing_foreign(world: World) -> None:
    document = world.api.anonymous().get("/openapi.json").json()
    asked = [
        (operation, parameter["name"])
        for operation in operations().values()
        if operation.scopes is not None and operation.in_schema
        for parameter in described(document, operation).get("parameters", ())
        if parameter["in"] == "query" and parameter["name"] in IDS_ASKED
    ]
    assert asked
    for operation, name in asked:
        for viewpoint in ("other_buyer", "other_provider"):
            label = f"{viewpoint}: {operation.name}?{name}"
            foreign, missing = (
                call(world.callers[viewpoint], operation, {}, params={name: value})
                for value in (IDS_ASKED[name](world), new_id(KINDS["any_id"]))
            )
            assert foreign.status_code == missing.status_code, label
            assert without_request_id(foreign) == without_request_id(missing), label


def test_data_are_for_the_buyer_alone(busy_world: World) -> None:
    listed, draft = (busy_world.sale.ids[name]["slug"] for name in ("listed", "draft"))
    until = time.monotonic() + 10
    while busy_world.callers["buyer"].get(f"/data/{listed}/rows").status_code != 200:
        assert time.monotonic() < until, "the gateway has not heard of the contract"
        time.sleep(0.05)
    for viewpoint in VIEWPOINTS:
        caller = busy_world.callers[viewpoint]
        answer = caller.get(f"/data/{listed}/rows")
        if viewpoint == "buyer":
            assert answer.json()["items"], viewpoint
            continue
        expected = (401, "not-signed-in") if viewpoint == "anonymous" else (403, "no-grant")
        found = problem(answer, viewpoint)
        assert (found["status"], found["type"].rpartition(":")[2]) == expected, viewpoint
        if viewpoint != "anonymous":
            assert problem(caller.get(f"/data/{draft}/rows"), viewpoint)["status"] == 404


def test_an_id_in_a_body_finds_nothing_foreign(world: World) -> None:
    wish = BODIES["POST /api/v1/negotiations"]
    draft = {name: world.sale.ids["draft"][name] for name in ("listing_id", "plan_id")}
    found = []
    for body in ({**wish, **draft}, wish):
        answer = world.callers["other_buyer"].post("/api/v1/negotiations", json=body)
        found.append(problem(answer, str(body)))
    assert found[0] == found[1]
    assert found[0]["status"] == 404


def described(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][operation.path][operation.method.lower()]
    return found


def without_request_id(answer: Any) -> Any:
    if "json" not in answer.headers["content-type"]:
        return answer.text
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def tenant_rows() -> list[Row]:
    return [row for row in rows() if row.ids not in ("", NOBODY)]


def sees(row: Row, viewpoint: str) -> bool:
    return bool({viewpoint, ANYONE} & row.seen_by)


def may_not_call(row: Row, viewpoint: str) -> bool:
    """Whether it is refused for want of a token, which is the role matrix's business."""
    return viewpoint == "anonymous" and row.access is not None


def has_role(row: Row, viewpoint: str) -> bool:
    return not row.roles or viewpoint in row.roles


def may_act(row: Row, viewpoint: str) -> bool:
    return bool({viewpoint, ANYONE} & row.done_by) and has_role(row, viewpoint)


def expected_of(operation: Operation) -> frozenset[int]:
    """What an example may be answered with: a step may be out of turn or against a rule."""
    return frozenset({200} if operation.method == "GET" else {200, 201, 202, 409, 415, 422})


def strange_ids(world: World, row: Row, operation: Operation) -> Iterator[dict[str, str]]:
    """The sale's own ids with one after the other replaced, and all of them."""
    own = {name: world.sale.ids[row.ids][name] for name in operation.path_parameters}
    for name, kind in operation.path_parameters.items():
        missing = missing_ids(operation)[name]
        strange = [missing]
        if kind is str:
            strange += [new_id("job"), *GARBAGE]
        if len(own) > 1 and name != "organisation_id":
            strange.append(world.other.ids[row.ids][name])
        yield from ({**own, name: value} for value in strange)
    yield missing_ids(operation)


def tells_no_secret(world: World, viewpoint: str, answer: Any, label: str) -> None:
    asked = str(answer.request.url)
    for secret, what in world.secrets_from(viewpoint).items():
        if secret not in asked:
            assert secret not in answer.text, f"{label} tells the {what}"
