"""The log's own key: made once, sealed at rest, known to verifiers by its `vkey`."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session, col, select

from app.audit.models import LogKey
from app.audit.notes import VerifierKey, parse_verifier_key, verifier_key_of
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.ids import new_id
from app.kernel.refusals import Outage

_PURPOSE = "audit-log-key"


@dataclass(frozen=True)
class LogSigner:
    """The log's key, opened."""

    verifier: VerifierKey
    private: Ed25519PrivateKey


def ensure_log_key(session: Session) -> VerifierKey:
    """The key that signs checkpoints; makes it when there is none."""
    row = _newest(session)
    if row is None:
        installation = installation_of(session)
        private = Ed25519PrivateKey.generate()
        verifier = verifier_key_of(installation.settings.log_name, private)
        row = LogKey(
            id=new_id("key"),
            name=verifier.name,
            verifier_key=str(verifier),
            sealed_private=installation.keys.seal(private.private_bytes_raw(), _PURPOSE),
            created_at=now(session),
        )
        session.add(row)
        session.flush()
    return parse_verifier_key(row.verifier_key)


def log_signer(session: Session) -> LogSigner:
    """The opened key of the log; an `Outage` before `zhigu init` has made one."""
    row = _newest(session)
    if row is None:
        raise Outage("The log has no key yet: run `zhigu init`.")
    raw = installation_of(session).keys.unseal(row.sealed_private, _PURPOSE)
    private = Ed25519PrivateKey.from_private_bytes(raw)
    return LogSigner(parse_verifier_key(row.verifier_key), private)


def verifier_keys(session: Session) -> list[VerifierKey]:
    """Every key that the log has signed with, the newest first."""
    rows = session.exec(select(LogKey).order_by(col(LogKey.id).desc()))
    return [parse_verifier_key(row.verifier_key) for row in rows]


def _newest(session: Session) -> LogKey | None:
    return session.exec(select(LogKey).order_by(col(LogKey.id).desc()).limit(1)).first()
