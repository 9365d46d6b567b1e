"""Sealing: envelope encryption of secrets at rest with AES-256-GCM.

A sealed secret is text: `v1.<key name>.<wrapped data key>.<nonce ‖ ciphertext>`, each part
base64url. The data key is fresh for each secret and wrapped by the named master key; `purpose`
(such as `upstream:lst_…`) is authenticated with both: a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SealBroken(ValueError):
    """A sealed secret does not open: wrong key, wrong purpose, or altered."""


@runtime_checkable
class Sealer(Protocol):
    """Seals and opens under the master keys of the moment."""

    def seal(self, secret: bytes, purpose: str) -> str:
        """`secret` as sealed text that only opens for the same `purpose`."""
        ...

    def unseal(self, sealed: str, purpose: str) -> bytes:
        """The secret inside `sealed`; raises `SealBroken` when anything about it is wrong."""
        ...

    def fingerprints(self, data: bytes, purpose: str) -> list[str]:
        """What tells `data` from other data, under each key, the current one first."""
        ...


@dataclass(frozen=True, repr=False)
class MasterKeys:
    """The keys that wrap data keys, by name; `current` names the one that new secrets use."""

    current: str
    keys: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError("the current master key is not among the keys")
        if any(len(key) != 32 for key in self.keys.values()):
            raise ValueError("a master key is 32 bytes")

    def seal(self, secret: bytes, purpose: str) -> str:
        """`secret` as sealed text that only opens for the same `purpose`."""
        data_key = AESGCM.generate_key(256)
        wrapped = _encrypt(self.keys[self.current], data_key, f"wrap:{purpose}")
        return ".".join(
            ("v1", self.current, _text(wrapped), _text(_encrypt(data_key, secret, purpose)))
        )

    def unseal(self, sealed: str, purpose: str) -> bytes:
        """The secret inside `sealed`; raises `SealBroken` when anything about it is wrong."""
        try:
            _, _, _, body = sealed.split(".")
            return _decrypt(self._data_key(sealed, purpose), _bytes(body), purpose)
        except (KeyError, ValueError, InvalidTag) as error:
            raise SealBroken("the sealed secret does not open") from error

    def reseal(self, sealed: str, purpose: str) -> str:
        """The same secret under the current key: only its data key is wrapped anew.

        Copies of one text stay equal, so whoever knows them by their text still does. Raises
        `SealBroken` when it does not open: nothing broken gets a new wrapping.
        """
        if key_name(sealed) == self.current:
            return sealed
        self.unseal(sealed, purpose)
        data_key = self._data_key(sealed, purpose)
        key, wrap = self.keys[self.current], f"wrap:{purpose}"
        # A nonce made of what it encrypts is used again for the very same only.
        nonce = hmac.digest(
            hmac.digest(key, b"reseal", "sha256"), data_key + wrap.encode(), "sha256"
        )
        wrapped = _encrypt(key, data_key, wrap, nonce[:_NONCE_BYTES])
        return ".".join(("v1", self.current, _text(wrapped), sealed.rpartition(".")[2]))

    def _data_key(self, sealed: str, purpose: str) -> bytes:
        version, name, wrapped, _ = sealed.split(".")
        if version != "v1":
            raise SealBroken("unknown seal version")
        return _decrypt(self.keys[name], _bytes(wrapped), f"wrap:{purpose}")

    def fingerprints(self, data: bytes, purpose: str) -> list[str]:
        """64 hex digits that tell `data` from other data, under each key, the current one first.

        Unlike a plain hash they cannot be tried out by somebody who has the store and no key.
        """
        names = [self.current, *sorted(set(self.keys) - {self.current})]
        subkeys = [
            hmac.digest(self.keys[name], f"fingerprint:{purpose}".encode(), "sha256")
            for name in names
        ]
        return [hmac.digest(subkey, data, "sha256").hex() for subkey in subkeys]


def key_name(sealed: str) -> str:
    """The name of the master key that `sealed` opens under; raises `SealBroken` when it is none."""
    version, _, rest = sealed.partition(".")
    name, dot, _ = rest.partition(".")
    if version != "v1" or not name or not dot:
        raise SealBroken("this is not sealed text")
    return name


def new_master_key() -> bytes:
    """32 fresh random bytes."""
    return os.urandom(32)


def write_private(path: Path, content: bytes) -> None:
    """Write a new or changed file that only its owner can read (mode 0600), whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    # A name that power loss takes back would leave rows sealed under a key that nobody has.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _encrypt(key: bytes, plain: bytes, purpose: str, nonce: bytes = b"") -> bytes:
    nonce = nonce or os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, purpose.encode())


def _decrypt(key: bytes, data: bytes, purpose: str) -> bytes:
    return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], purpose.encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
