"""Rotating: a new master key, everything sealed anew under it, and a new key for access tokens.

First the file of keys has the new one, so that every process can open what is sealed from then on;
then each row moves, some at a time. Killed anywhere, the next run goes on where this one was. The
old key stays in the file, and opens what it sealed, until `drop_old_keys`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.accounts.oauth.token_keys import (
    PUBLISHED_BEFORE,
    holds_until,
    newest_token_key,
    retired_token_keys,
    rotate_token_key,
)
from app.audit.recording import record, was_recorded
from app.db.installation import Installation
from app.db.sealed import SealedColumn, reseal_batch, sealed_rows
from app.db.session import now
from app.http.idempotency import KEEP
from app.kernel.actor import OPERATOR
from app.kernel.clock import rfc3339
from app.kernel.key_file import KeyFile, read_key_file, write_key_file
from app.kernel.sealing import MasterKeys, key_name
from app.opening import alone_in
from app.wiring import SEALED

AT_ONCE = 100
OUT_OF_USE = KEEP + timedelta(hours=1)
"""How long an old key is kept: requests are told apart under it for `KEEP`, and no transaction
that sealed under it before is still open an hour later."""


class KeysInUse(Exception):
    """Old keys cannot be dropped yet; the text says what still needs them."""


@dataclass(frozen=True)
class Rotated:
    """What a rotation has done. `resumed` is true where it went on with one that was begun."""

    master_key: str
    token_key: str
    token_key_signs_from: datetime
    resumed: bool
    resealed: dict[str, int]


@dataclass(frozen=True)
class Dropped:
    """The old keys that are no more, by name."""

    master_keys: Sequence[str]
    token_keys: Sequence[str]


def rotate_keys(installation: Installation, path: Path) -> Rotated:
    """Make a new master key in the file at `path` and a new token key, and seal everything anew.

    One that was begun and not ended is gone on with instead.
    """
    with alone_in(path.parent):
        file = read_key_file(path)
        resumed = file.is_unfinished
        if not resumed:
            file = file.with_new_key(installation.clock.now())
            write_key_file(path, file)
        token_key, signs_from = _rotate_token_key(installation, file)
        resealed = _reseal_all(installation, file.keys)
        write_key_file(path, file.finished())
    return Rotated(file.keys.current, token_key, signs_from, resumed, resealed)


def drop_old_keys(installation: Installation, path: Path) -> Dropped:
    """Forget every old key, of both kinds; what was sealed or signed under them is lost for good.

    Refuses with `KeysInUse` while anything needs one of them.
    """
    with alone_in(path.parent):
        file = read_key_file(path)
        if file.is_unfinished:
            raise KeysInUse("a rotation was begun and not ended: run `zhigu keys rotate`")
        old = sorted(set(file.keys.keys) - {file.keys.current})
        _must_be_out_of_use(file, old, installation.clock.now())
        _reseal_all(installation, file.keys)
        _must_seal_nothing(installation, old)
        token_keys = _drop_token_keys(installation, old)
        if old:
            write_key_file(path, file.with_current_only())
    return Dropped(old, token_keys)


def _rotate_token_key(installation: Installation, file: KeyFile) -> tuple[str, datetime]:
    """Once for each master key: the leaf beside the new token key tells it to a repeat."""
    assert file.began_at is not None, "a rotation retires a key"
    once = f"keys:rotated:{file.keys.current}:{rfc3339(file.began_at)}"
    with installation.transaction(OPERATOR) as session:
        if was_recorded(session, once):
            key = newest_token_key(session)
        else:
            key = rotate_token_key(session)
            facts = {"master_key": file.keys.current, "token_key": key.kid}
            record(session, "keys:rotated", "operator", dedupe_key=once, **facts)
        return key.kid, key.created_at + PUBLISHED_BEFORE


def _reseal_all(installation: Installation, keys: MasterKeys) -> dict[str, int]:
    """Go through every sealed column until a whole walk finds nothing to do.

    A transaction that sealed under the old key before may commit behind our back.
    """
    total = dict.fromkeys((column.name for columns in SEALED.values() for column in columns), 0)
    moved = -1
    while moved:
        moved = 0
        for store, columns in SEALED.items():
            for column in columns:
                count = _reseal_column(installation, store, column, keys)
                total[column.name] += count
                moved += count
    return total


def _reseal_column(
    installation: Installation, store: str, column: SealedColumn, keys: MasterKeys
) -> int:
    at_us = installation.clock.now_us()

    def batch(connection: Connection, after: Sequence[Any] | None) -> tuple[Any, int]:
        return reseal_batch(connection, column, keys, after, at_us=at_us, at_once=AT_ONCE)

    after, moved = None, 0
    while True:
        if store == "usage":
            with installation.usage_transaction() as connection:
                after, count = batch(connection, after)
        else:
            with installation.transaction(OPERATOR) as session:
                after, count = batch(session.connection(), after)
        moved += count
        if after is None:
            return moved


def _must_be_out_of_use(file: KeyFile, old: Sequence[str], moment: datetime) -> None:
    for name in old:
        retired_at = file.retired.get(name)
        if retired_at is None or moment < retired_at + OUT_OF_USE:
            until = "" if retired_at is None else f" until {rfc3339(retired_at + OUT_OF_USE)}"
            raise KeysInUse(f"requests of now may still need the master key {name}{until}")


def _must_seal_nothing(installation: Installation, old: Sequence[str]) -> None:
    with (
        installation.snapshot(OPERATOR) as session,
        installation.usage_transaction(writes=False) as usage,
    ):
        connections = {"market": session.connection(), "usage": usage}
        for store, columns in SEALED.items():
            for column in columns:
                for row in sealed_rows(connections[store], column):
                    name = key_name(column.text_in(row) or "")
                    if name in old:
                        raise KeysInUse(f"{column.name} is still sealed under {name}")


def _drop_token_keys(installation: Installation, old: Sequence[str]) -> list[str]:
    with installation.transaction(OPERATOR) as session:
        rows = retired_token_keys(session)
        for row in rows:
            if now(session) < holds_until(row):
                until = rfc3339(holds_until(row))
                raise KeysInUse(f"tokens of the key {row.kid} may live until {until}")
        for row in rows:
            session.delete(row)
        kids = [row.kid for row in rows]
        if old or kids:
            record(session, "keys:dropped", "operator", master_keys=list(old), token_keys=kids)
    return kids
