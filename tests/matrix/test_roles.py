"""The role matrix: the table, the guards and the answers say the same of every operation."""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.accounts.roles import ALLIANCE_ROLES
from app.accounts.scopes import SCOPES
from app.kernel.ids import new_id
from tests.conftest import Api, Caller
from tests.matrix import calling
from tests.matrix.policy import NOBODY, rows
from tests.matrix.routes import Operation, operations

EVERY_SCOPE = frozenset(SCOPES)
EVERY_ROLE = frozenset(role.value for role in ALLIANCE_ROLES)


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    named = {row.operation for row in rows()}
    missing = sorted(set(operations()) - named)
    assert not missing, f"add a row to tests/matrix/policy.csv for {missing}"
    assert not named - set(operations()), "the table has rows of operations that are gone"


def test_a_row_is_complete_and_stands_once() -> None:
    twice = [key for key, n in Counter((row.operation, row.ids) for row in rows()).items() if n > 1]
    assert not twice
    for row in rows():
        operation = operations()[row.operation]
        assert bool(row.ids) == bool(operation.path_parameters), f"{row.label}: ids"
        assert bool(row.seen_by) == (row.ids not in ("", NOBODY)), f"{row.label}: seen_by"
        assert row.done_by <= row.seen_by, f"{row.label}: done_by"
        assert (row.access is None) == bool(row.why), f"{row.label}: why is it public?"
        assert (row.access or frozenset()) <= EVERY_SCOPE, f"{row.label}: unknown scope"
        assert row.roles <= EVERY_ROLE, f"{row.label}: unknown role"


def test_the_guards_ask_for_what_the_table_says() -> None:
    for row in rows():
        assert operations()[row.operation].scopes == row.access, row.label


def test_what_is_public_is_said_to_be_so_in_the_document(api: Api) -> None:
    document = api.anonymous().get("/openapi.json").json()
    for row in rows():
        operation = operations()[row.operation]
        if operation.in_schema:
            described = document["paths"][operation.path][operation.method.lower()]
            assert (described.get("security") == []) == (row.access is None), row.label


def test_nobody_gets_in_without_a_token_or_with_a_wrong_one(api: Api) -> None:
    for row in rows():
        operation = operations()[row.operation]
        anonymous, wrong = (call(one, operation) for one in (api.anonymous(), api.with_token("x")))
        for answer in (anonymous, wrong):
            assert answer.status_code < 500, f"{row.label}: {answer.text}"
        if row.access is not None:
            is_not_signed_in(anonymous, row.label)
        if not operation.options.get("own_authentication"):
            is_not_signed_in(wrong, row.label)


def test_a_token_without_the_scope_is_refused_and_one_with_it_is_not(api: Api) -> None:
    for row in rows():
        if not row.access:
            continue
        operation = operations()[row.operation]
        without = caller_with(api, EVERY_SCOPE - row.access, EVERY_ROLE)
        answer = call(without, operation)
        assert answer.status_code == 403, f"{row.label}: {answer.text}"
        assert lacks_scope(answer), f"{row.label}: {answer.headers}"
        for scope in row.access:
            answer = call(caller_with(api, {scope}, EVERY_ROLE), operation)
            assert answer.status_code < 500, f"{row.label} with {scope}: {answer.text}"
            assert not lacks_scope(answer), f"{row.label} with {scope}: {answer.text}"


def test_whoever_lacks_the_role_is_refused_whichever_row_is_named(api: Api) -> None:
    for row in rows():
        if not row.roles:
            continue
        operation = operations()[row.operation]
        answer = call(caller_with(api, EVERY_SCOPE, EVERY_ROLE - row.roles), operation)
        assert answer.status_code == 403, f"{row.label}: {answer.text}"
        assert not lacks_scope(answer), f"{row.label}: {answer.text}"
        for role in row.roles:
            answer = call(caller_with(api, EVERY_SCOPE, {role}), operation)
            assert answer.status_code not in (401, 403), f"{row.label} as {role}: {answer.text}"


def call(caller: Caller, operation: Operation) -> Any:
    """A call about rows that do not exist."""
    return calling.call(caller, operation, calling.missing_ids(operation))


def caller_with(api: Api, scopes: Any, roles: Any) -> Caller:
    return api.as_client(new_id("org"), *sorted(scopes), roles=sorted(roles))


def lacks_scope(answer: Any) -> bool:
    return "insufficient_scope" in answer.headers.get("www-authenticate", "")


def is_not_signed_in(answer: Any, label: str) -> None:
    assert answer.status_code == 401, f"{label}: {answer.text}"
    if answer.request.method != "HEAD":
        assert answer.json()["type"] == "urn:zhigu:problem:not-signed-in", label
    assert answer.headers["www-authenticate"].startswith("Bearer"), label
