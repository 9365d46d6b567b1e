"""The file of the master keys: which one seals, which ones still open, and since when.

A process reads it again when it has changed: so a new key is known everywhere without a restart,
and each process opens what others have sealed under it by then.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from app.kernel.clock import from_rfc3339, rfc3339
from app.kernel.sealing import MasterKeys, SealBroken, key_name, new_master_key, write_private

NAME = "master.keys"


@dataclass(frozen=True, repr=False)
class KeyFile:
    """What the file says: the keys, when each older one stopped sealing, and whether what those
    had sealed may not all be under the current one yet.
    """

    keys: MasterKeys
    retired: Mapping[str, datetime] = field(default_factory=dict)
    is_unfinished: bool = False

    @property
    def began_at(self) -> datetime | None:
        """When the current key took over; None when it is the first."""
        return max(self.retired.values(), default=None)

    def with_new_key(self, at: datetime) -> KeyFile:
        """The same with a fresh key that seals from now on; the others only open."""
        numbers = [int(name[1:]) for name in self.keys.keys if name[1:].isdecimal()]
        name = f"k{max(numbers, default=0) + 1}"
        keys = MasterKeys(name, {**self.keys.keys, name: new_master_key()})
        return KeyFile(keys, {**self.retired, self.keys.current: at}, is_unfinished=True)

    def finished(self) -> KeyFile:
        """The same, when everything has been sealed anew."""
        return replace(self, is_unfinished=False)

    def with_current_only(self) -> KeyFile:
        """The same without its old keys."""
        name = self.keys.current
        return KeyFile(MasterKeys(name, {name: self.keys.keys[name]}))


def read_key_file(path: Path) -> KeyFile:
    """What the file at `path` says; raises `FileNotFoundError` or `SealBroken`."""
    try:
        content = json.loads(path.read_text("utf-8"))
        encoded = content["keys"].items()
        keys = {name: base64.b64decode(text, validate=True) for name, text in encoded}
        retired = content.get("retired", {}).items()
        return KeyFile(
            MasterKeys(content["current"], keys),
            {name: from_rfc3339(at) for name, at in retired},
            bool(content.get("unfinished", False)),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise SealBroken(f"{path.name} is not a file of master keys") from error


def write_key_file(path: Path, file: KeyFile) -> None:
    """Put `file` in the place of what is at `path`: whole, on disk, and for its owner only."""
    content = {
        "current": file.keys.current,
        "keys": {name: base64.b64encode(key).decode() for name, key in file.keys.keys.items()},
        "retired": {name: rfc3339(at) for name, at in file.retired.items()},
        "unfinished": file.is_unfinished,
    }
    write_private(path, json.dumps(content).encode())


def ensure_key_file(path: Path) -> None:
    """Make the file with a first key, if there is none; raises `SealBroken` for one that is none.

    Never writes over a file: what it seals would be lost.
    """
    if path.exists():
        read_key_file(path)
    else:
        write_key_file(path, KeyFile(MasterKeys("k1", {"k1": new_master_key()})))


class WatchedKeys:
    """The master keys in the file at `path` as it is now; a `Sealer`, usable from any thread.

    While the file is away or unreadable, the keys that were read last go on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = (_stamp(path), read_key_file(path).keys)

    def seal(self, secret: bytes, purpose: str) -> str:
        """`secret` as sealed text that only opens for the same `purpose`."""
        return self.now().seal(secret, purpose)

    def unseal(self, sealed: str, purpose: str) -> bytes:
        """The secret inside `sealed`; raises `SealBroken` when anything about it is wrong."""
        keys = self.now()
        if key_name(sealed) not in keys.keys:
            # The stamp of a file on another machine may lag behind what is in it.
            keys = self._look(None)
        return keys.unseal(sealed, purpose)

    def fingerprints(self, data: bytes, purpose: str) -> list[str]:
        """What tells `data` from other data, under each key, the current one first."""
        return self.now().fingerprints(data, purpose)

    def now(self) -> MasterKeys:
        """The keys of this moment."""
        stamp, keys = self._read
        try:
            found = _stamp(self._path)
        except OSError:
            return keys
        return keys if found == stamp else self._look(found)

    def _look(self, stamp: tuple[int, ...] | None) -> MasterKeys:
        """Read the file; `stamp` is from before, so that what changes meanwhile is read again."""
        try:
            keys = read_key_file(self._path).keys
        except (OSError, SealBroken):
            return self._read[1]
        self._read = (stamp or self._read[0], keys)
        return keys


def _stamp(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_ino, state.st_mtime_ns, state.st_size
