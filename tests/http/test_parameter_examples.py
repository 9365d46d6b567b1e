"""Every parameter in the document has an example, and it is one that its operation understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from app.accounts.roles import ALLIANCE_ROLES
from app.accounts.scopes import SCOPES
from app.kernel.ids import new_id
from tests.conftest import Api
from tests.matrix.answers import document, resolved

KINDS: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "object": dict}
SAYS_NOTHING_OF_VALUES = {"description", "default", "title"}


def operations() -> Iterator[tuple[str, str, Any]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def faults(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """The keywords of `schema` that `value` breaks."""
    checks = {
        "type": lambda kind: type(value) is KINDS[kind],
        "enum": lambda values: value in values,
        "format": lambda name: name == "date" and bool(date.fromisoformat(value)),
        "pattern": lambda text: re.search(text, value),
        "minLength": lambda least: len(value) >= least,
        "maxLength": lambda most: len(value) <= most,
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "additionalProperties": lambda of: not any(list(faults(v, of)) for v in value.values()),
    }
    for keyword in schema.keys() - SAYS_NOTHING_OF_VALUES:
        if not checks[keyword](schema[keyword]):
            yield keyword


def test_every_parameter_has_an_example_that_its_schema_takes() -> None:
    for method, path, operation in operations():
        for parameter in operation["parameters"]:
            label = f"{method} {path} {parameter['name']}"
            assert "example" in parameter, label
            schema = resolved(parameter["schema"])
            assert schema.keys() & {"type", "enum"}, label
            assert not list(faults(parameter["example"], schema)), label


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("1", {"type": "integer"}),
        (True, {"type": "integer"}),
        (201, {"type": "integer", "maximum": 200}),
        ("2026-11", {"type": "string", "pattern": "^[0-9]{2}$"}),
        ("open", {"type": "string", "enum": ["active"]}),
        ({"on": 1}, {"type": "object", "additionalProperties": {"type": "string"}}),
    ],
)
def test_an_example_that_its_schema_does_not_take_is_found(value: Any, schema: Any) -> None:
    assert list(faults(value, schema))


def test_every_question_is_understood_as_its_examples_ask_it(api: Api) -> None:
    roles = sorted(role.value for role in ALLIANCE_ROLES)
    caller = api.as_client(new_id("org"), *SCOPES, roles=roles)
    for method, path, operation in operations():
        asked = method == "get" and operation["parameters"]
        if not asked or path.startswith("/data/"):
            continue
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        for parameter in operation["parameters"]:
            # A cursor goes on with the one list that gave it out.
            if parameter["name"] != "cursor":
                given[parameter["in"]][parameter["name"]] = parameter["example"]
        params = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in given["query"].items()
        }
        answer = caller.get(path.format(**given["path"]), params=params, headers=given["header"])
        assert answer.status_code != 400, f"{path}: {answer.text}"
