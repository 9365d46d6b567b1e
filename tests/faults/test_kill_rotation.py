"""kill -9 of a process that rotates the keys (F-A2): every row opens at each moment, to all.

The judges open each row with the keys that the file has just then, as another process would.
"""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta
from functools import partial
from pathlib import Path

from app import rotating
from app.db.installation import Installation
from app.kernel.clock import SetClock
from app.kernel.key_file import WatchedKeys, read_key_file
from tests.conftest import Api
from tests.faults.errands import Lives, chosen_end
from tests.faults.judging import Note, Verdict
from tests.rotations import SECRET, vault_at

ROWS = 12
AT_ONCE = 5


def rotate(path: Path, installation: Installation) -> None:
    """What a life does: with the keys of the file, in several batches."""
    rotating.AT_ONCE = AT_ONCE
    rotating.rotate_keys(dataclasses.replace(installation, keys=WatchedKeys(path)), path)


def test_a_rotation_that_is_killed_loses_no_secret_and_is_gone_on_with(
    installation: Installation,
    api: Api,
    clock: SetClock,
    chance: random.Random,
    tmp_path: Path,
    note: Note,
    long: bool,
) -> None:
    path = tmp_path / "home" / "master.keys"
    with vault_at(installation, api, path) as vault:
        vault.apply_grants(ROWS)
        lives = Lives(installation, clock, chance)
        columns = set(vault.sealed_under())
        finished, told_done = 0, set()
        while lives.killed < (60 if long else 12) or read_key_file(path).is_unfinished:
            done = lives.fate(lives.begin(partial(rotate, path), chosen_end(chance))) == 0
            keys = read_key_file(path)
            under = vault.sealed_under()
            assert set(under) == columns
            assert vault.secrets() == {SECRET}
            if done:
                finished += 1
                assert not keys.is_unfinished
                assert under == {name: {keys.keys.current} for name in columns}
                told_done.add(keys.keys.current)
            clock.advance(timedelta(minutes=11))
            assert api.anonymous().get("/oauth/jwks").json()["keys"]
        assert len(told_done) == finished, "each of them is a key of its own"
    verdict = Verdict(times=lives.killed, acknowledged=finished)
    note("kill -9 of a process that rotates the keys", verdict)
