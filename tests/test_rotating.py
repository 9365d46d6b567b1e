"""Rotating keys: everything opens at every moment, nothing stays under the old key, nothing is lost
by dropping it.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from app import rotating, wiring
from app.accounts.bootstrapping import ensure_operator
from app.accounts.models import Client
from app.accounts.oauth import checking as oauth_checking
from app.accounts.oauth.issuing import Bearer, issue_token
from app.accounts.oauth.models import TokenKey
from app.accounts.oauth.tokens import TokenInvalid, TokenVerifier
from app.db.installation import Installation
from app.db.sealed import INFO
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.jwk import base64url_decode
from app.kernel.key_file import WatchedKeys, read_key_file, write_key_file
from app.kernel.sealing import SealBroken
from app.reports.checking_seals import problems
from app.rotating import KeysInUse, drop_old_keys, rotate_keys
from tests.breaking import broken
from tests.conftest import Api
from tests.rotations import GRANTS, SECRET, Vault, vault_at

EVERYWHERE = {column.name for columns in wiring.SEALED.values() for column in columns}
SEALED_TEXT = re.compile(r"v1\.\w+\.[\w-]{40,}\.[\w-]{30,}")
LATER = timedelta(hours=26)


@pytest.fixture
def vault(installation: Installation, api: Api, tmp_path: Path) -> Iterator[Vault]:
    with vault_at(installation, api, tmp_path / "home" / "master.keys") as opened:
        yield opened


def token(installation: Installation) -> str:
    with installation.transaction(OPERATOR) as session:
        client_id, _ = ensure_operator(session)
        client = session.get_one(Client, client_id)
        bearer = Bearer(
            subject=client.id,
            client_id=client.id,
            organisation_id=client.organisation_id,
            scopes=client.scopes,
            roles=client.roles,
        )
        return issue_token(session, bearer).text


def signed_by(text: str) -> str:
    head = text.partition(".")[0]
    return str(json.loads(base64url_decode(head))["kid"])


def test_everything_moves_under_the_new_key_and_opens(vault: Vault) -> None:
    assert vault.sealed_under() == {name: {"k1"} for name in EVERYWHERE}
    done = rotate_keys(vault.installation, vault.path)
    assert (done.master_key, done.resumed) == ("k2", False)
    assert vault.sealed_under() == {name: {"k2"} for name in EVERYWHERE}
    assert vault.secrets() == {SECRET}
    assert done.resealed["grant_terms.compiled"] == 2 * GRANTS
    assert vault.path.stat().st_mode & 0o777 == 0o600


def test_many_rows_move_in_batches(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "AT_ONCE", 2)
    vault.apply_grants(9)
    done = rotate_keys(vault.installation, vault.path)
    assert done.resealed["grant_terms.compiled"] == 18
    assert vault.sealed_under() == {name: {"k2"} for name in EVERYWHERE}


def test_who_keeps_grants_in_memory_is_told_of_each_that_was_sealed_anew(vault: Vault) -> None:
    before = len(vault.changes())
    rotate_keys(vault.installation, vault.path)
    assert vault.changes()[before:] == [f"grt_{number}" for number in range(GRANTS)]


def test_copies_of_a_credential_stay_equal_so_that_each_is_one_way_in(vault: Vault) -> None:
    """Workers keep tokens and TLS contexts by the sealed text: one for all grants on a listing."""
    rotate_keys(vault.installation, vault.path)
    names = {"upstream.sealed", "grant_terms.compiled"}
    texts = {column.text_in(row) for column, row in vault.rows() if column.name in names}
    assert len(texts) == 1


def test_a_process_that_runs_seals_and_opens_under_the_new_key_at_once(vault: Vault) -> None:
    other = WatchedKeys(vault.path)
    old = other.seal(b"x", "p")
    rotate_keys(vault.installation, vault.path)
    new = vault.installation.keys.seal(b"y", "p")
    assert (other.unseal(new, "p"), other.unseal(old, "p")) == (b"y", b"x")
    assert other.seal(b"z", "p").startswith("v1.k2.")


def test_a_file_that_is_away_or_half_written_stops_no_process(vault: Vault) -> None:
    other = WatchedKeys(vault.path)
    sealed, content = other.seal(b"x", "p"), vault.path.read_bytes()
    vault.path.write_bytes(content[:20])
    assert other.unseal(sealed, "p") == b"x"
    vault.path.unlink()
    assert other.unseal(sealed, "p") == b"x"
    with pytest.raises(SealBroken):
        other.unseal("v1.k9.YQ.YQ", "p")
    vault.path.write_bytes(content)
    assert other.unseal(sealed, "p") == b"x"


def test_what_was_sealed_behind_the_rotation_is_found_by_the_next_walk(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that read the old key before commits after its table was walked."""
    old, late = read_key_file(vault.path).keys, []
    really = rotating._reseal_column

    def walked(*arguments: object) -> int:
        count = really(*arguments)  # type: ignore[arg-type]
        if not late and arguments[1] == "usage":
            late.append(old.seal(b"late", f"upstream:{vault.listing_id}"))
            with vault.installation.market.begin() as connection:
                connection.execute(sa.text("UPDATE upstream SET sealed = :it"), {"it": late[0]})
        return count

    monkeypatch.setattr(rotating, "_reseal_column", walked)
    rotate_keys(vault.installation, vault.path)
    assert vault.sealed_under()["upstream.sealed"] == {"k2"}
    assert "late" in vault.secrets()


def test_a_rotation_that_was_cut_short_is_gone_on_with(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(rotating, "_reseal_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotate_keys(vault.installation, vault.path)
    begun = read_key_file(vault.path)
    with pytest.raises(KeysInUse, match="not ended"):
        drop_old_keys(vault.installation, vault.path)
    done = rotate_keys(vault.installation, vault.path)
    assert (done.master_key, done.resumed) == ("k2", True)
    assert read_key_file(vault.path).keys == begun.keys
    with vault.installation.market.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM token_key")) == 2
        leaves = sa.text("SELECT count(*) FROM audit_leaf WHERE kind = 'keys:rotated'")
        assert connection.scalar(leaves) == 1
    assert rotate_keys(vault.installation, vault.path).master_key == "k3"


def test_two_rotations_at_once_are_one_after_the_other(vault: Vault) -> None:
    done: list[str] = []

    def rotate() -> None:
        done.append(rotate_keys(vault.installation, vault.path).master_key)

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["k2", "k3"]
    assert vault.sealed_under() == {name: {"k3"} for name in EVERYWHERE}


def test_a_token_key_is_published_before_it_signs_and_after(
    vault: Vault, api: Api, clock: SetClock
) -> None:
    installation = vault.installation
    verifier = TokenVerifier(installation)
    first = token(installation)
    new = rotate_keys(installation, vault.path).token_key

    def published() -> set[str]:
        return {key["kid"] for key in api.anonymous().get("/oauth/jwks").json()["keys"]}

    both = {signed_by(first), new}
    assert published() == both
    assert signed_by(token(installation)) == signed_by(first), "others may not know the new one"
    clock.advance(timedelta(minutes=10))
    second = token(installation)
    assert signed_by(second) == new
    last_of_old = first
    assert verifier.verify(second)
    assert verifier.verify(last_of_old), "its ten minutes and a skew are not over"
    clock.advance(timedelta(minutes=59))
    assert published() == both
    clock.advance(timedelta(minutes=2))
    assert published() == {new}
    with pytest.raises(TokenInvalid):
        TokenVerifier(installation).verify(first)


def test_old_keys_are_dropped_once_nothing_needs_them(vault: Vault, clock: SetClock) -> None:
    installation = vault.installation
    rotate_keys(installation, vault.path)
    with pytest.raises(KeysInUse, match="still need the master key k1"):
        drop_old_keys(installation, vault.path)
    clock.advance(LATER)
    dropped = drop_old_keys(installation, vault.path)
    assert dropped.master_keys == ["k1"]
    assert len(dropped.token_keys) == 1
    assert set(read_key_file(vault.path).keys.keys) == {"k2"}
    assert vault.secrets() == {SECRET}
    assert drop_old_keys(installation, vault.path) == rotating.Dropped([], [])


def test_a_token_key_is_not_dropped_while_its_tokens_may_live(
    vault: Vault, clock: SetClock
) -> None:
    rotate_keys(vault.installation, vault.path)
    clock.advance(LATER)
    with vault.installation.transaction(OPERATOR) as session:
        row = session.exec(select(TokenKey).where(col(TokenKey.retired_at).is_not(None))).one()
        row.retired_at = clock.now() - timedelta(minutes=59)
    with pytest.raises(KeysInUse, match="tokens of the key"):
        drop_old_keys(vault.installation, vault.path)
    assert set(read_key_file(vault.path).keys.keys) == {"k1", "k2"}


def test_what_was_sealed_late_is_moved_before_its_key_is_dropped(
    vault: Vault, clock: SetClock
) -> None:
    old = read_key_file(vault.path).keys
    rotate_keys(vault.installation, vault.path)
    clock.advance(LATER)
    late = old.seal(b"late", f"upstream:{vault.listing_id}")
    with vault.installation.market.begin() as connection:
        connection.execute(sa.text("UPDATE upstream SET sealed = :it"), {"it": late})
    drop_old_keys(vault.installation, vault.path)
    assert vault.secrets() == {"late", SECRET}


def test_what_does_not_open_stops_the_rotation_and_keeps_the_old_key(vault: Vault) -> None:
    stray = read_key_file(vault.path).keys.seal(b"x", "upstream:of-another")
    with vault.installation.market.begin() as connection:
        connection.execute(sa.text("UPDATE upstream SET sealed = :it"), {"it": stray})
    with pytest.raises(SealBroken):
        rotate_keys(vault.installation, vault.path)
    file = read_key_file(vault.path)
    assert file.is_unfinished
    assert set(file.keys.keys) == {"k1", "k2"}


def test_fsck_names_what_is_sealed_for_another_row_or_under_no_known_key(vault: Vault) -> None:
    installation = vault.installation
    with installation.usage.connect() as usage, installation.snapshot(OPERATOR) as market:
        assert list(problems(market, usage)) == []
    moved = installation.keys.seal(b"x", "upstream:of-another")
    breaks = {
        "upstream.sealed": f"UPDATE upstream SET sealed = '{moved}'",
        "token_key.sealed_private": "UPDATE token_key SET sealed_private = 'v1.k9.YQ.YQ'",
        "audit_log_key.sealed_private": "UPDATE audit_log_key SET sealed_private = 'plain'",
    }
    for name, statement in breaks.items():
        with broken(installation, [statement]) as market, installation.usage.connect() as usage:
            said = list(problems(market, usage))
        assert [text.split(" of ")[0] for text in said] == [f"S1: {name}"]
    with installation.usage.connect() as usage, installation.snapshot(OPERATOR) as market:
        terms = next(row for column, row in vault.rows() if column.name.startswith("grant_terms"))
        document = json.dumps(terms["compiled"]).replace('"sealed": "v1.k1', '"sealed": "v1.k9')
        usage.execute(sa.text("UPDATE grant_terms SET compiled = :it"), {"it": document})
        said = list(problems(market, usage))
        usage.rollback()
    assert said == ["S1: grant_terms.compiled of grt_0/1 opens under no known key"]


def test_a_planted_token_key_is_named(vault: Vault) -> None:
    with broken(vault.installation, ["UPDATE token_key SET public_x = 'planted'"]) as market:
        said = list(oauth_checking.problems(market))
    assert [text.endswith("is not the one that was sealed") for text in said] == [True]


def test_no_sealed_text_lies_in_a_column_that_is_not_on_the_list(vault: Vault) -> None:
    """Whatever a table comes to hold: the text itself tells where it was sealed."""
    engines = {"market": vault.installation.market, "usage": vault.installation.usage}
    found = set()
    for store, metadata in wiring.METADATA.items():
        with engines[store].connect() as connection:
            for table in metadata.sorted_tables:
                for row in connection.execute(sa.select(table)).mappings():
                    found |= {
                        f"{table.name}.{column.name}"
                        for column in table.columns
                        if SEALED_TEXT.search(str(row[column.name]))
                    }
    assert found == EVERYWHERE


def test_a_column_that_is_called_sealed_is_on_the_list() -> None:
    named = {
        f"{table.name}.{column.name}"
        for metadata in wiring.METADATA.values()
        for table in metadata.sorted_tables
        for column in table.columns
        if "sealed" in column.name and isinstance(column.type, sa.Text)
    }
    assert named <= EVERYWHERE
    assert all(INFO in column.column.info for found in wiring.SEALED.values() for column in found)


def test_a_key_file_is_whole_or_the_one_before(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vault.path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        rotate_keys(vault.installation, vault.path)
    assert vault.path.read_bytes() == before
    assert vault.sealed_under() == {name: {"k1"} for name in EVERYWHERE}
    monkeypatch.undo()
    write_key_file(vault.path, read_key_file(vault.path))
    assert read_key_file(vault.path).keys == WatchedKeys(vault.path).now()
