"""The ceilings and bans of the house: sizes, names, docstrings, and who may commit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
SHAPELESS = {"utils", "util", "common", "base", "manager", "helpers", "helper", "misc", "core"}
COMMITTERS = {
    "app/db/session.py",
    "app/metering/tally/sqlite_driver.py",
    "app/metering/tally/postgres_driver.py",
}
CLOCK_READERS = {"app/kernel/clock.py", "app/kernel/ids.py"}
FILES = sorted(
    path.relative_to(ROOT) for folder in ("app", "tests") for path in (ROOT / folder).rglob("*.py")
)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"))


def is_migration(file: Path) -> bool:
    return "migrations" in file.parts


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_room_holds_the_ceilings(file: Path) -> None:
    text = (ROOT / file).read_text("utf-8")
    tree = parsed(file)
    assert len(text.splitlines()) <= MAX_FILE_LINES, "the file is too long"
    assert ast.get_docstring(tree) or not text.strip(), "the module has no docstring"
    assert not SHAPELESS & set(file.with_suffix("").parts), "the name says nothing"
    for function in functions(tree):
        length = (function.end_lineno or 0) - function.lineno + 1
        if not is_migration(file):
            assert length <= MAX_FUNCTION_LINES, f"{function.name} is too long"
        if file.parts[0] == "app":
            arguments = function.args
            count = len(arguments.args) + len(arguments.kwonlyargs) + len(arguments.posonlyargs)
            names = {argument.arg for argument in arguments.args[:1]}
            count -= len(names & {"self", "cls"})
            limit = MAX_PARAMETERS + 3 if is_route(function) else MAX_PARAMETERS
            assert count <= limit, f"{function.name} has {count} parameters"


def is_route(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A route takes what HTTP names, and its injected session, actor and installation."""
    calls = [node for node in function.decorator_list if isinstance(node, ast.Call)]
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return bool(names & {"get", "post", "put", "patch", "delete", "command", "option"}) or any(
        isinstance(call.func, ast.Attribute) and call.func.attr in {"command", "option"}
        for call in calls
    )


@pytest.mark.parametrize("file", [f for f in FILES if f.parts[0] == "app"], ids=str)
def test_only_the_database_and_the_tally_commit_and_only_the_clock_tells_time(file: Path) -> None:
    for node in ast.walk(parsed(file)):
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr == "commit" and isinstance(node.ctx, ast.Load):
            assert str(file) in COMMITTERS, f"line {node.lineno} commits"
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        reads_clock = (owner, node.attr) in {
            ("datetime", "now"),
            ("datetime", "utcnow"),
            ("date", "today"),
            ("time", "time"),
            ("time", "time_ns"),
        }
        if reads_clock:
            assert str(file) in CLOCK_READERS, f"line {node.lineno} reads the clock"


def test_the_layers_name_every_package() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = {
        name.removeprefix("app.")
        for contract in contracts["contracts"]
        if contract["type"] == "layers"
        for layer in contract["layers"]
        for name in (part.strip(" ()") for part in layer.replace(":", "|").split("|"))
    }
    present = {path.stem for path in (ROOT / "app").iterdir() if path.name != "__init__.py"}
    present -= {"__pycache__", "py", "settings", "sandbox"}
    assert present <= named, f"outside the layers: {present - named}"
