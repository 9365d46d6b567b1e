"""What cannot be read: every operation refuses it with a problem document and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from app.accounts.roles import ALLIANCE_ROLES
from app.accounts.scopes import SCOPES
from tests.conftest import Caller
from tests.matrix.breaking import BROKEN_IDS, JSON, broken_bodies, broken_values
from tests.matrix.calling import call, missing_ids
from tests.matrix.examples import BODIES, QUERIES
from tests.matrix.policy import NOBODY, rows
from tests.matrix.routes import Operation, operations
from tests.matrix.snapshots import changes, snapshot
from tests.matrix.world import World

STRANGE_NAMES = ("zz_unknown=1", "=1", "%00=1", "%FF=1", "a%E2%80%AEb=1")


def test_every_operation_with_a_body_has_an_example_and_takes_it(world: World) -> None:
    takers = {operation.name for operation in operations().values() if operation.takes_json}
    missing = sorted(takers - set(BODIES))
    assert not missing, f"add a body to tests/matrix/examples.py for {missing}"
    assert not set(BODIES) - takers, "examples of operations that are gone or take no body"
    assert not set(QUERIES) - set(operations()), "queries of operations that are gone"


def test_a_body_that_cannot_be_read_is_refused_and_changes_nothing(world: World) -> None:
    caller = almighty(world)
    for operation in operations().values():
        if not operation.takes_json:
            continue
        before, ids = snapshot(world.installation), ids_of(world, operation)
        optional = type(None) in get_args(operation.body)
        for broken in broken_bodies(BODIES[operation.name], optional=optional):
            label = f"{operation.name}: {broken.what}"
            answer = call(
                caller, operation, ids, content=broken.content, headers=dict(broken.headers)
            )
            # What stands in a free document is for the rules of its language to refuse.
            free = {422} if operation.body == dict[str, Any] and 400 in broken.statuses else set()
            is_refused(answer, label, broken.statuses | free)
        assert not changes(before, snapshot(world.installation)), operation.name


def test_a_body_that_is_not_asked_for_harms_nobody(busy_world: World) -> None:
    caller = almighty(busy_world)
    bodies = list(broken_bodies({"a": "b"}, optional=False))
    for operation in operations().values():
        if operation.takes_json or operation.method == "*":
            continue
        ids = ids_of(busy_world, operation)
        for broken in bodies[:1] if operation.method == "GET" else bodies:
            answer = call(
                caller, operation, ids, content=broken.content, headers=dict(broken.headers)
            )
            assert answer.status_code < 500, f"{operation.name}: {broken.what}: {answer.text}"


def test_a_query_that_is_not_understood_is_refused(world: World) -> None:
    caller = almighty(world)
    before = snapshot(world.installation)
    for operation, parameters in queried(world):
        for query in (*STRANGE_NAMES, *repeated(operation, parameters)):
            label = f"{operation.name}?{query[:60]}"
            is_refused(asked(caller, world, operation, query), label, {400})
    assert not changes(before, snapshot(world.installation))


def test_a_query_of_the_wrong_type_is_refused(world: World) -> None:
    caller = almighty(world)
    before = snapshot(world.installation)
    for operation, parameters in queried(world):
        for parameter in parameters:
            name = parameter["name"]
            for value in broken_values(parameter["schema"], name):
                query = "&".join(f"{key}={one}" for key, one in others(operation, name))
                query = f"{query}&{name}={value}".lstrip("&")
                label = f"{operation.name}?{query[:80]}"
                # A number may be good and only beyond what there is.
                statuses = {400, 404} if value.lstrip("-").isdigit() else {400}
                is_refused(asked(caller, world, operation, query), label, statuses)
    assert not changes(before, snapshot(world.installation))


def test_a_query_that_the_document_names_is_understood(busy_world: World) -> None:
    caller = almighty(busy_world)
    for operation, parameters in queried(busy_world):
        for parameter in parameters:
            name = parameter["name"]
            values = dict(others(operation, name))
            values[name] = QUERIES.get(operation.name, {}).get(name) or sample(parameter["schema"])
            query = "&".join(f"{key}={one}" for key, one in values.items())
            answer = asked(caller, busy_world, operation, query)
            assert answer.status_code < 500, f"{operation.name}?{query}: {answer.text}"
            assert "no query parameter" not in answer.text, f"{operation.name}?{query}"


def test_a_mangled_path_is_refused(world: World) -> None:
    caller = almighty(world)
    before = snapshot(world.installation)
    for operation in operations().values():
        own = ids_of(world, operation)
        for name in operation.path_parameters:
            for value in BROKEN_IDS:
                label = f"{operation.name} with {name}={value[:40]}"
                answer = call(caller, operation, {**own, name: value})
                is_refused(answer, label, {400, 404, 405})
    assert not changes(before, snapshot(world.installation))


def almighty(world: World) -> Caller:
    """The provider with every scope and every role: nothing but the reading can refuse it."""
    roles = sorted(role.value for role in ALLIANCE_ROLES)
    return world.api.as_client(world.sale.provider.id, *SCOPES, roles=roles)


def ids_of(world: World, operation: Operation) -> dict[str, str]:
    """Ids of rows that exist, where the operation's rows are somebody's; a draft can change."""
    sets = [row.ids for row in rows() if row.operation == operation.name]
    for name in sorted(sets, key=lambda name: name != "draft"):
        if name not in ("", NOBODY):
            return world.sale.ids[name]
    return missing_ids(operation)


def is_refused(answer: Any, label: str, statuses: Any) -> None:
    assert answer.status_code in statuses, f"{label}: {answer.status_code} {answer.text[:300]}"
    assert answer.headers["content-type"] == f"{JSON[:12]}problem+json", label
    if answer.request.method == "HEAD":
        return
    document = answer.json()
    assert document["status"] == answer.status_code, label
    assert document["type"].startswith("urn:zhigu:problem:"), label
    assert document["request_id"] == answer.headers["x-request-id"], label


def queried(world: World) -> Iterator[tuple[Operation, list[dict[str, Any]]]]:
    """Each operation whose query is read by the common rules, and the parameters it documents."""
    document = world.api.anonymous().get("/openapi.json").json()
    for operation in operations().values():
        if operation.options.get("own_query") or operation.method == "*":
            continue
        described = document["paths"].get(operation.path, {}).get(operation.method.lower(), {})
        parameters = described.get("parameters", ())
        yield operation, [one for one in parameters if one["in"] == "query"]


def repeated(operation: Operation, parameters: list[dict[str, Any]]) -> Iterator[str]:
    for parameter in parameters:
        value = QUERIES.get(operation.name, {}).get(parameter["name"])
        pair = f"{parameter['name']}={value or sample(parameter['schema'])}"
        yield f"{pair}&{pair}"


def others(operation: Operation, name: str) -> list[tuple[str, str]]:
    """The parameters that the operation cannot do without, but for the one called `name`."""
    found = QUERIES.get(operation.name, {})
    return [(key, value) for key, value in found.items() if key != name]


def asked(caller: Caller, world: World, operation: Operation, query: str) -> Any:
    path = operation.at(**ids_of(world, operation))
    options = {"json": BODIES[operation.name]} if operation.takes_json else {}
    return caller.request(operation.method, f"{path}?{query}", **options)


def sample(schema: dict[str, Any]) -> str:
    """A value that fits the schema, or nearly."""
    kinds = [schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())]
    for kind in kinds:
        if "enum" in kind:
            return str(next(one for one in kind["enum"] if one is not None))
        if kind.get("format") == "date":
            return "2026-11-02"
        if "integer" in kind.get("type", ()):
            return "1"
    return "CNY" if "3" in str(schema.get("maxLength")) else "1"
