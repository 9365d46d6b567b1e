"""The `zhigu` command: data to stdout, exit code 0 only when it worked, no trace for a mistake."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.audit.checkpointing import sequence
from app.audit.exporting import export_receipt
from app.audit.log_keys import ensure_log_key
from app.audit.recording import record
from app.cli import main
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical
from app.kernel.ids import new_id
from app.kernel.jwk import load_key_file, public_key
from app.kernel.jws import KEY_PROOF_TYPE, TERMS_TYPE, verify_compact, verify_detached
from app.opening import open_home
from app.settings import load_settings


class Shell:
    """Somebody who types `zhigu …` with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"ZHIGU_HOME": str(home)}

    def run(self, *arguments: str, **options: Any) -> Result:
        found: Result = CliRunner().invoke(main, arguments, env=self.env, **options)
        return found

    def good(self, *arguments: str, **options: Any) -> str:
        done = self.run(*arguments, **options)
        assert done.exit_code == 0, done.output
        return done.stdout

    def refused(self, *arguments: str, **options: Any) -> str:
        """The one line of a refusal; nothing is on stdout, and no trace anywhere."""
        done = self.run(*arguments, **options)
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit), done.exception
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ")
        return done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


@pytest.fixture
def initialised(shell: Shell) -> Shell:
    shell.good("init")
    return shell


def test_init_tells_the_secret_once_and_changes_nothing_again(shell: Shell) -> None:
    first = json.loads(shell.good("init", "--json"))
    kept = {path.name: path.read_bytes() for path in shell.home.glob("*.keys")}
    second = json.loads(shell.good("init", "--json"))
    assert first["admin_client_secret"]
    assert second == {**first, "admin_client_secret": None}
    assert {path.name: path.read_bytes() for path in shell.home.glob("*.keys")} == kept
    assert stat.S_IMODE(shell.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((shell.home / "master.keys").stat().st_mode) == 0o600
    assert "admin_client_secret" not in shell.good("init")


@pytest.mark.parametrize("command", [("fsck",), ("inspect", "ctr_x"), ("serve",), ("work",)])
def test_a_home_that_is_not_there_is_said_plainly(shell: Shell, command: tuple[str, ...]) -> None:
    assert "run `zhigu init`" in shell.refused(*command)


def test_a_wrong_setting_is_said_plainly(shell: Shell) -> None:
    shell.env["ZHIGU_PAYOUT_HOLD_DAYS"] = "soon"
    assert "payout_hold_days" in shell.refused("fsck")
    del shell.env["ZHIGU_PAYOUT_HOLD_DAYS"]
    shell.env["ZHIGU_CONFIG"] = "nowhere.toml"
    assert "nowhere.toml" in shell.refused("fsck")


def test_a_new_key_is_kept_private_and_its_public_half_is_shown(shell: Shell) -> None:
    path = shell.home.parent / "acme.key.json"
    shown = json.loads(shell.good("keys", "new", str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "d" not in shown
    assert public_key(shown) == load_key_file(path).public
    before = path.read_bytes()
    assert "exists" in shell.refused("keys", "new", str(path))
    assert "cannot be made" in shell.refused("keys", "new", str(path / "below"))
    assert path.read_bytes() == before


def test_keys_are_rotated_while_everything_opens(initialised: Shell) -> None:
    done = json.loads(initialised.good("keys", "rotate", "--json"))
    assert (done["master_key"], done["resumed"]) == ("k2", False)
    assert done["resealed"]["audit_log_key.sealed_private"] == 1
    initialised.good("init")
    assert "k3" in initialised.good("keys", "rotate")
    assert "may still need the master key k1" in initialised.refused("keys", "rotate", "--drop-old")
    assert stat.S_IMODE((initialised.home / "master.keys").stat().st_mode) == 0o600
    shown = json.loads((initialised.home / "master.keys").read_text())
    assert not any(key in initialised.good("keys", "rotate") for key in shown["keys"].values())


def test_a_proof_of_possession_is_made_for_one_organisation_and_nonce(shell: Shell) -> None:
    path = shell.home.parent / "acme.key.json"
    public = public_key(json.loads(shell.good("keys", "new", str(path))))
    proof = shell.good("keys", "prove", "--key", str(path), "org_1", "a-nonce").strip()
    _, payload = verify_compact(proof, public, typ=KEY_PROOF_TYPE)
    assert json.loads(payload) == {"organisation": "org_1", "nonce": "a-nonce"}


def test_terms_are_signed_as_the_bytes_that_they_are(shell: Shell) -> None:
    path = shell.home.parent / "acme.key.json"
    public = public_key(json.loads(shell.good("keys", "new", str(path))))
    terms = canonical({"b": 1, "a": "条款"})
    signature = shell.good("sign", "--key", str(path), "-", input=terms).strip()
    verify_detached(signature, terms, public, typ=TERMS_TYPE)
    assert ".." in signature, "the payload is detached"
    for other in (terms + b"\n", b'{"b":1,"a":"x"}', b"no json", b"\xff", b"[" * 99_999):
        assert "TERMS is not" in shell.refused("sign", "--key", str(path), "-", input=other)


def test_a_key_file_that_others_may_read_signs_nothing(shell: Shell) -> None:
    path = shell.home.parent / "acme.key.json"
    shell.good("keys", "new", str(path))
    path.chmod(0o644)
    shell.refused("sign", "--key", str(path), "-", input=b"{}")


@pytest.fixture
def receipt(initialised: Shell) -> tuple[Path, str]:
    """A receipt in a file, and the key of the log that it is from."""
    home = open_home(load_settings(initialised.env))
    with home.transaction(OPERATOR) as session:
        vkey = str(ensure_log_key(session))
        leaf = record(session, "contract:signed", new_id("ctr"), said="签了")
    sequence(home)
    with home.transaction(OPERATOR, writes=False) as session:
        content = export_receipt(session, leaf)
    path = initialised.home.parent / "receipt.json"
    path.write_bytes(content)
    return path, vkey


def test_a_receipt_verifies_without_the_installation(
    receipt: tuple[Path, str], tmp_path: Path
) -> None:
    path, vkey = receipt
    stranger = Shell(tmp_path / "elsewhere")
    assert stranger.good("verify", str(path), "--vkey", vkey).startswith("it holds: leaf ")
    facts = json.loads(stranger.good("verify", str(path), "--vkey", vkey, "--json"))
    assert facts["recorded"]["facts"] == {"said": "签了"}
    assert not (tmp_path / "elsewhere").exists()


def test_a_receipt_with_a_flipped_byte_or_another_key_fails(
    receipt: tuple[Path, str], initialised: Shell, tmp_path: Path
) -> None:
    path, vkey = receipt
    content = path.read_bytes()
    for position in range(0, len(content), len(content) // 7):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        )
        initialised.refused("verify", str(path), "--vkey", vkey)
    path.write_bytes(content)
    other = Shell(tmp_path / "other")
    other.good("init")
    with open_home(load_settings(other.env)).transaction(OPERATOR) as session:
        stranger = str(ensure_log_key(session))
    assert stranger != vkey
    initialised.refused("verify", str(path), "--vkey", stranger)
    assert initialised.run("verify", str(path)).exit_code == 2, "no key inside the file will do"


def test_fsck_is_quiet_on_a_sound_store_and_names_what_is_broken(initialised: Shell) -> None:
    done = initialised.run("fsck")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "every invariant holds\n")
    assert json.loads(initialised.good("fsck", "--json")) == []
    sequence(open_home(load_settings(initialised.env)))
    with closing(sqlite3.connect(initialised.home / "market.db")) as connection:
        connection.execute("DELETE FROM audit_leaf WHERE number = 0")
        connection.commit()
    broken = initialised.run("fsck")
    assert broken.exit_code == 1
    assert broken.stdout.startswith("audit: A1: ")
    told = json.loads(initialised.run("fsck", "--json").stdout)
    assert told[0]["group"] == "audit"
    assert told[0]["problem"].startswith("A1: ")


def test_a_recount_tells_of_a_wrong_total_and_mends_it_when_told_to(initialised: Shell) -> None:
    assert initialised.refused("usage", "recount", "--grant", "grt_x")
    assert initialised.run("usage", "recount").exit_code == 2, "one grant, or all"
    with closing(sqlite3.connect(initialised.home / "usage.db")) as connection:
        connection.execute(
            "INSERT INTO grant_state (grant_id, contract_id, listing_id, buyer_id, provider_id,"
            " epoch, live, starts_at_us, ends_at_us)"
            " VALUES ('grt_x', 'ctr_x', 'lst_x', 'org_b', 'org_p', 1, 0, 1, 2)"
        )
        connection.execute(
            "INSERT INTO usage_total VALUES ('grt_x', '2026-11-02', 'call', 7, 0, 7, 0, 1, 7)"
        )
        connection.commit()
    told = initialised.run("usage", "recount", "--all", "--json")
    assert told.exit_code == 1
    (found,) = json.loads(told.stdout)
    assert (found["name"], found["kept"]["units"], found["counted"], found["mended"]) == (
        "2026-11-02 call", 7, None, False
    )  # fmt: skip
    mended = initialised.run("usage", "recount", "--grant", "grt_x", "--apply")
    assert (mended.exit_code, "mended" in mended.stdout) == (1, True)
    assert initialised.run("usage", "recount", "--all").exit_code == 0


@pytest.mark.parametrize("unknown", ["nonsense", "ctr_01k0000000000000000000000", "job_x"])
def test_what_belongs_to_no_sale_is_said_plainly(initialised: Shell, unknown: str) -> None:
    assert f"{unknown} belongs to no sale" in initialised.refused("inspect", unknown)


def test_migrating_what_is_current_changes_nothing(initialised: Shell) -> None:
    done = initialised.run("migrate")
    assert (done.exit_code, done.stderr) == (0, "both stores are current\n")
