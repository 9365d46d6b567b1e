"""A store is restored from an older snapshot than the other: fsck names what is missing (F-A6).

What the older store still proves of itself cannot show this: the other store does. Where both are
of one moment nothing within shows it: whoever kept a checkpoint can tell, or a client its receipt.
Use that was not sealed yet (`seal_every_s`) is known to the clients alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.audit.checkpointing import sequence
from app.audit.log_keys import ensure_log_key
from app.audit.merkle import leaf_hash, root_of_hashes
from app.audit.notes import TreeHead, opened_checkpoint, parse_verifier_key
from app.audit.tiles import WIDTH, tile_number
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.metering.history.segments import seal_due
from app.reports.fsck import check_everything
from tests.billing.season import Deal, Season
from tests.conftest import Api


@pytest.fixture
def engine_name() -> str:
    """A snapshot is a copy of a file; what fsck asks does not depend on the engine."""
    return "sqlite"


@pytest.fixture
def season(installation: Installation, clock: SetClock, api: Api) -> Season:
    with installation.transaction(OPERATOR) as session:
        ensure_log_key(session)
    return Season(installation, clock, api)


def file_of(engine: sa.Engine) -> Path:
    """The one file of a store that nobody has open."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    assert engine.url.database is not None
    return Path(engine.url.database)


@contextmanager
def restored_after(engine: sa.Engine, folder: Path) -> Iterator[None]:
    """The store of the block's beginning is there again at its end."""
    snapshot = shutil.copy(source := file_of(engine), folder / f"snapshot-{source.name}")
    yield
    target = file_of(engine)
    for left in (target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")):
        left.unlink(missing_ok=True)
    shutil.copy(snapshot, target)


def work_for_a_while(season: Season, deal: Deal) -> None:
    """Some calls, sealed and in the log under a checkpoint."""
    season.use(deal, "2026-11-03 09:00:00", 3)
    seal_due(season.installation)
    season.work()
    sequence(season.installation)


def named(season: Season) -> set[str]:
    found = check_everything(season.installation, patience_s=0)
    return {f"{one.group}: {one.text}" for one in found}


@pytest.mark.parametrize("store", ["market", "usage"])
def test_a_store_that_is_older_than_the_other_is_named(
    season: Season, tmp_path: Path, store: str
) -> None:
    deal = season.sign()
    work_for_a_while(season, deal)
    before = named(season)
    with restored_after(getattr(season.installation, store), tmp_path):
        work_for_a_while(season, deal)
        assert named(season) == before
    found = named(season) - before
    assert any(deal.grant_id in line and "segment" in line for line in found), found


def served_head(api: Api, vkey: str) -> TreeHead:
    """The tree head that the log serves to anybody, under its signature."""
    note = api.anonymous().get("/audit/checkpoint").text
    return opened_checkpoint(note, parse_verifier_key(vkey))


def served_root(api: Api, size: int) -> bytes:
    """The root of the first `size` leaves, by the entries that the log serves to anybody."""
    hashes: list[bytes] = []
    while len(hashes) < size:
        width = min(WIDTH, size - len(hashes))
        part = "" if width == WIDTH else f".p/{width}"
        path = f"/audit/tile/entries/{tile_number(len(hashes) // WIDTH)}{part}"
        content = api.anonymous().get(path).content
        while content:
            end = 2 + int.from_bytes(content[:2])
            hashes.append(leaf_hash(content[2:end]))
            content = content[end:]
    return root_of_hashes(hashes)


def test_both_stores_of_one_older_moment_are_told_by_a_checkpoint_that_somebody_kept(
    season: Season, api: Api, tmp_path: Path
) -> None:
    with season.installation.transaction(OPERATOR) as session:
        vkey = str(ensure_log_key(session))
    deal = season.sign()
    work_for_a_while(season, deal)
    before = named(season)
    assert all("without a leaf" in line for line in before), "what the test put there by itself"
    old = served_head(api, vkey)
    with (
        restored_after(season.installation.market, tmp_path),
        restored_after(season.installation.usage, tmp_path),
    ):
        work_for_a_while(season, deal)
        kept = served_head(api, vkey)
        assert served_root(api, kept.size) == kept.root
    assert served_head(api, vkey) == old
    assert old.size < kept.size, "the log is shorter than the checkpoint that was kept"
    assert named(season) == before, "fsck sees nothing of it"
    while (newest := served_head(api, vkey)).size <= kept.size:
        work_for_a_while(season, deal)
    assert named(season) == before, "nor when the log has grown again"
    assert served_root(api, newest.size) == newest.root, "it proves itself as it is now"
    assert served_root(api, old.size) == old.root
    assert served_root(api, kept.size) != kept.root, "it is not the log that was served before"
