"""The OpenAPI document: one sentence for each rule that every operation keeps."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, get_args

import msgspec

from app import wiring
from app.accounts.roles import ALLIANCE_ROLES
from app.accounts.scopes import SCOPES
from app.http.decoding import decode_strictly
from app.http.examples import UNKNOWN
from app.kernel.ids import new_id
from app.kernel.refusals import Outage, Refusal
from app.metering.errors import ExportTooLarge, MethodNotOffered
from app.metering.gateway.describing import GATEWAY_PATHS
from app.metering.reported import errors as reporting_errors
from tests.conftest import Api
from tests.matrix.answers import document, resolved
from tests.matrix.calling import missing_ids
from tests.matrix.examples import QUERIES
from tests.matrix.routes import Operation, operations

METHODS = {"get", "put", "post", "delete", "patch", "head"}
PROBLEM = "application/problem+json"
# The one good answer that stands beside another: a part of what a 200 would be (RFC 9110 §15.3.7).
PART = "206"
# RFC 6749 §5.2 has a shape of its own, and readiness says what is missing.
OWN_REFUSALS = {
    "POST /oauth/token",
    "POST /oauth/introspect",
    "POST /oauth/register",
    "POST /oauth/revoke",
    "GET /readyz",
}
# Models that are not billed yet are read whole, so that the refusal can name them.
OPEN_SHAPES = {"Recurring", "RevenueShare"}


def described() -> Iterator[tuple[Operation, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, one in item.items():
            assert method in METHODS, f"{path} has a strange member {method}"
            yield operations()[f"{method.upper()} {path}"], one


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if listed(value) else ():
        yield from nodes(item)


def listed(value: Any) -> bool:
    return isinstance(value, list)


def bodies(content: dict[str, Any]) -> Iterator[Any]:
    for media_type, body in content.items():
        assert "schema" in body, media_type
        assert "example" in body, media_type
        yield body["example"]


def test_the_document_is_openapi_3_1_and_every_reference_resolves() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert document()["info"]["title"]
    assert document()["info"]["version"]
    referring = [node for node in nodes(document()) if isinstance(node.get("$ref"), str)]
    assert referring
    for node in referring:
        assert node["$ref"].startswith("#/components/"), node
        assert resolved(node), node
        assert re.fullmatch(r"[A-Za-z0-9._-]+", node["$ref"].split("/")[-1]), node


def test_every_operation_is_described_and_nothing_else_is() -> None:
    names = {operation.name for operation in operations().values() if operation.in_schema}
    assert {operation.name for operation, _ in described()} == names


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_description() -> None:
    ids = Counter(one["operationId"] for _, one in described())
    assert max(ids.values()) == 1
    for operation, one in described():
        assert re.fullmatch(r"[a-z0-9_]+", one["operationId"]), operation.name
        assert 3 <= len(one["summary"]) <= 100, operation.name
        assert one["description"].strip(), operation.name
        assert "func`" not in one["description"], operation.name


def test_every_tag_is_described_and_every_description_used() -> None:
    told = {tag["name"] for tag in document()["tags"] if tag["description"]}
    assert len(told) == len(document()["tags"])
    used = [tag for _, one in described() for tag in one["tags"]]
    assert set(used) == told
    for operation, one in described():
        assert len(one["tags"]) == 1, operation.name


def test_every_parameter_is_declared_once_and_described() -> None:
    for operation, one in described():
        found = [(parameter["in"], parameter["name"]) for parameter in one["parameters"]]
        assert len(found) == len(set(found)), operation.name
        in_path = {name for place, name in found if place == "path"}
        assert in_path == set(operation.path_parameters), operation.name
        assert in_path == set(re.findall(r"\{(\w+)\}", operation.path)), operation.name
        for parameter in one["parameters"]:
            label = f"{operation.name} {parameter['name']}"
            assert parameter["description"], label
            assert parameter["schema"], label
            assert parameter["required"] or parameter["in"] != "path", label


def test_security_is_what_the_guard_asks_for() -> None:
    flows = document()["components"]["securitySchemes"]["oauth2"]["flows"]
    for flow in flows.values():
        assert set(flow["scopes"]) == set(SCOPES)
        assert all(flow["scopes"].values())
    for operation, one in described():
        scopes = operation.scopes
        expected = [] if scopes is None else [{"oauth2": [name]} for name in sorted(scopes)]
        assert one["security"] == (expected if scopes != frozenset() else [{"oauth2": []}])


def test_a_body_is_described_closed_and_its_example_is_read_strictly() -> None:
    for operation, one in described():
        assert ("requestBody" in one) or not operation.takes_json, operation.name
        if "requestBody" not in one:
            continue
        assert list(bodies(one["requestBody"]["content"])), operation.name
        if operation.takes_json:
            for example in bodies(one["requestBody"]["content"]):
                decode_strictly(json.dumps(example).encode(), operation.body)
            optional = type(None) in get_args(operation.body)
            assert one["requestBody"]["required"] is not optional, operation.name


def test_the_upload_of_a_table_says_what_it_takes() -> None:
    taken = document()["paths"]["/api/v1/listings/{listing_id}/files"]["post"]["requestBody"]
    assert {"multipart/form-data", "text/csv", "application/jsonl"} <= set(taken["content"])


def test_no_body_that_is_read_strictly_is_described_as_open() -> None:
    waiting = [one["requestBody"]["content"] for op, one in described() if op.takes_json]
    seen: set[str] = set()
    while waiting:
        for node in nodes(waiting.pop()):
            name = str(node.get("$ref", "")).split("/")[-1]
            if name and name not in seen:
                seen.add(name)
                waiting.append(resolved(node))
            if "properties" in node and node.get("title") not in OPEN_SHAPES:
                assert node["additionalProperties"] is False, node
    assert {"NewPlan", "Quota", "Metadata"} <= seen


def test_every_good_answer_has_an_example_that_its_type_takes() -> None:
    for operation, one in described():
        good = {status: answer for status, answer in one["responses"].items() if status[0] == "2"}
        assert len(set(good) - {PART}) == 1, operation.name
        for answer in map(resolved, good.values()):
            assert answer["description"], operation.name
            if operation.method != "HEAD":
                examples = list(bodies(answer["content"]))
                assert examples, operation.name
            if operation.answer is not None:
                msgspec.convert(examples[0], operation.answer, strict=True)


def test_every_good_answer_says_what_it_is() -> None:
    phrases = {status.phrase for status in HTTPStatus}
    told = {
        f"{operation.name} {status}": answer["description"]
        for operation, one in described()
        for status, answer in one["responses"].items()
        if status.startswith("2")
    }
    assert {name for name, text in told.items() if text in phrases} == set()


def test_no_example_holds_a_member_that_nobody_has_explained() -> None:
    for operation, one in described():
        for node in nodes(one):
            assert UNKNOWN not in node.values(), f"{operation.name}: {node}"
            for value in node.values():
                assert not listed(value) or UNKNOWN not in value, f"{operation.name}: {node}"


def test_every_refusal_is_a_problem_document() -> None:
    for operation, one in described():
        for status, answer in one["responses"].items():
            label = f"{operation.name} {status}"
            assert resolved(answer)["description"], label
            if status[0] in "23" or status == "4XX" or operation.name in OWN_REFUSALS:
                continue
            content = dict(resolved(answer)["content"])
            if operation.path.startswith("/data/{slug}/api/"):
                content.pop("*/*", None)
            assert set(content) == {PROBLEM}, label
            assert content[PROBLEM]["schema"]["$ref"].endswith("/ProblemDocument"), label
            for example in content[PROBLEM]["examples"].values():
                assert str(example["value"]["status"]) == status, label


def test_what_an_operation_may_refuse_follows_from_what_it_takes() -> None:
    for operation, one in described():
        told, options = set(one["responses"]), operation.options
        expected = set() if options.get("own_query") else {"400"}
        expected |= set() if options.get("own_authentication") else {"401"}
        expected |= {"403"} if operation.scopes else set()
        expected |= {"404"} if operation.path_parameters else set()
        expected |= {"413", "415", "422"} if operation.takes_json else set()
        expected |= set() if options.get("no_transaction") else {"503"}
        if any(parameter["name"] == "If-Match" for parameter in one["parameters"]):
            expected |= {"412"}
        if operation.method in {"POST", "PUT", "PATCH"} and operation.scopes is not None:
            expected |= {"409", "422"} if operation.path_parameters else {"422"}
        assert expected <= told, f"{operation.name} lacks {expected - told}"


def test_the_gateway_tells_every_way_in_which_it_refuses() -> None:
    told = {name for node in nodes(GATEWAY_PATHS) for name in node.get("examples", ())}
    refusals = {kind for root in (Refusal, Outage) for kind in subclasses(root)}
    refusals = {kind for kind in refusals if kind.__module__.startswith("app.metering.")}
    # Those of reported events stand beside each event in an answer of its own.
    refusals = {kind for kind in refusals if kind.__module__ != reporting_errors.__name__}
    assert len(refusals) > 15
    # What a method is told that no operation stands for, and what the export of use is told.
    assert {kind.slug for kind in refusals - {MethodNotOffered, ExportTooLarge}} <= told


def test_the_gateway_tells_its_headers() -> None:
    rows = GATEWAY_PATHS["/data/{slug}/rows"]["get"]
    assert {"Usage-Receipt", "RateLimit", "RateLimit-Policy"} <= set(
        rows["responses"]["200"]["headers"]
    )
    assert "Retry-After" in rows["responses"]["429"]["headers"]
    asked = {parameter["name"] for parameter in rows["parameters"]}
    assert {"where", "cursor", "Contract", "Purpose", "Idempotency-Key"} <= asked


def test_the_problem_document_tells_every_rule_of_the_house() -> None:
    told = document()["components"]["schemas"]["ProblemDocument"]["properties"]["type"]
    assert "- `terms-lapsed` (409): The last day of the terms is over." in told["description"]
    slugs = {kind.slug for root in (Refusal, Outage) for kind in (root, *subclasses(root))}
    assert {f"urn:zhigu:problem:{slug}" for slug in slugs} == set(told["examples"])


def test_field_constraints_appear() -> None:
    schema = document()["components"]["schemas"]["NewOrganisation"]["properties"]
    assert schema["credit_code"]["pattern"].startswith("^[0-9A-Z]{18}")
    assert (schema["name"]["minLength"], schema["name"]["maxLength"]) == (1, 200)


def test_every_documented_example_is_understood_by_its_operation(api: Api) -> None:
    roles = sorted(role.value for role in ALLIANCE_ROLES)
    caller = api.as_client(new_id("org"), *SCOPES, roles=roles)
    for operation, one in described():
        for media_type, body in one.get("requestBody", {"content": {}})["content"].items():
            if not operation.takes_json:
                continue
            answer = caller.request(
                operation.method,
                operation.at(**missing_ids(operation)),
                content=json.dumps(body["example"]).encode(),
                headers={"Content-Type": media_type},
                params=dict(QUERIES.get(operation.name, {})),
            )
            assert answer.status_code not in (400, 415), f"{operation.name}: {answer.text}"


def subclasses(kind: type) -> Iterator[Any]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("app."):
            yield below
        yield from subclasses(below)


def test_what_the_parts_say_is_of_parts_that_there_are() -> None:
    assert set(wiring.API_PARTS.scopes) == set(SCOPES)
    assert set(GATEWAY_PATHS) <= set(document()["paths"])
