"""README is true: what it tells a newcomer to type does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from app.cli import main
from app.sandbox.seeding import DEFAULT_URL
from tests.sandboxes import make_folder, running_sandbox

README = Path(__file__).parents[2] / "README.md"


def first_sale() -> str:
    """The shell lines under the heading of the first sale, as they are typed."""
    section = README.read_text("utf-8").partition("## A first sale in five minutes")[2]
    [block] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_first_sale_works_as_typed(tmp_path: Path) -> None:
    with running_sandbox(make_folder(tmp_path)) as sandbox:
        script = first_sale()
        assert DEFAULT_URL in script
        done = sandbox.shell(script.replace(DEFAULT_URL, sandbox.url))
    assert done.returncode == 0, done.stderr
    agreed, _, rest = done.stdout.partition("\n")
    answer, _, chain = rest.partition("\nended\n")
    assert agreed == "AGREED"
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert re.search(r"^usage-receipt: evt_", head, re.MULTILINE)
    assert re.search(r'^ratelimit: "quota-0";r=99;t=\d+$', head, re.MULTILINE)
    assert '"Year":2020' in body
    kinds = {line.partition(" ")[0] for line in chain.splitlines()}
    assert {"version", "signature", "contract", "grant", "usage", "invoice", "leaf"} <= kinds


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"zhigu ([a-z][a-z-]+)", README.read_text("utf-8")))
    named |= set(re.findall(r"^    zhigu ([a-z-]+)", README.read_text("utf-8"), re.MULTILINE))
    assert named - {"keys"} <= set(main.commands)
    assert set(main.commands) - {"sandbox"} <= named, "a command that README does not tell of"


def test_the_map_names_every_part_of_the_house() -> None:
    app = README.parent / "app"
    parts = {path.name for path in app.iterdir() if (path / "__init__.py").exists()}
    parts |= {path.name for path in app.glob("*.py")} - {"__init__.py"}
    text = README.read_text("utf-8").partition("## Map of the house")[2]
    missing = [name for name in sorted(parts) if name not in text]
    assert missing == []
