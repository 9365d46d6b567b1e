"""Sealing: envelope encryption of secrets at rest with AES-256-GCM.

A sealed secret is text: `v1.<key name>.<wrapped data key>.<nonce ‖ ciphertext>`, each part
base64url. The data key is fresh for each secret and wrapped by the named master key; `purpose`
(such as `upstream:lst_…`) is authenticated with both: a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SealBroken(ValueError):
    """A sealed secret does not open: wrong key, wrong purpose, or altered."""


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
            version, name, wrapped, body = sealed.split(".")
            if version != "v1":
                raise SealBroken("unknown seal version")
            data_key = _decrypt(self.keys[name], _bytes(wrapped), f"wrap:{purpose}")
            return _decrypt(data_key, _bytes(body), purpose)
        except (KeyError, ValueError, InvalidTag) as error:
            raise SealBroken("the sealed secret does not open") from error

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


def new_master_key() -> bytes:
    """32 fresh random bytes."""
    return os.urandom(32)


def load_master_keys(path: Path) -> MasterKeys:
    """The master keys kept in the file at `path`; raises `FileNotFoundError` or `SealBroken`."""
    try:
        content = json.loads(path.read_text("utf-8"))
        encoded = content["keys"].items()
        keys = {name: base64.b64decode(text, validate=True) for name, text in encoded}
        return MasterKeys(content["current"], keys)
    except (KeyError, ValueError, AttributeError) as error:
        raise SealBroken(f"{path.name} is not a file of master keys") from error


def ensure_master_keys(path: Path) -> MasterKeys:
    """The master keys at `path`; a first one is made, readable by its owner only, if none is."""
    if not path.exists():
        content = {"current": "k1", "keys": {"k1": base64.b64encode(new_master_key()).decode()}}
        write_private(path, json.dumps(content).encode())
    return load_master_keys(path)


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


def _encrypt(key: bytes, plain: bytes, purpose: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, purpose.encode())


def _decrypt(key: bytes, data: bytes, purpose: str) -> bytes:
    return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], purpose.encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
