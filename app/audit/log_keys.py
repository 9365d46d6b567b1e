"""The log's own key: made once, sealed at rest, known to verifiers by its `vkey`."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session, col, select

from app.audit.election import hold_log
from app.audit.errors import LogBroken
from app.audit.models import Checkpoint, LogKey
from app.audit.notes import VerifierKey, parse_verifier_key, verifier_key_of
from app.db.installation import installation_of
from app.db.session import now
from app.kernel.ids import new_id
from app.kernel.refusals import Outage
from app.kernel.sealing import SealBroken
from app.settings import SettingsError

_PURPOSE = "audit-log-key"


@dataclass(frozen=True)
class LogSigner:
    """The log's key, opened."""

    verifier: VerifierKey
    private: Ed25519PrivateKey


def ensure_log_key(session: Session) -> VerifierKey:
    """The key that signs checkpoints; makes it when the log has not begun.

    Raises `SettingsError` when the settings call the log otherwise than its key does: a log has one
    name for life.
    """
    hold_log(session)
    row = _newest(session)
    if row is None:
        row = _new_key(session)
        session.add(row)
        session.flush()
    log_name = installation_of(session).settings.log_name
    if row.name != log_name:
        raise SettingsError(f"log_name: this log is called {row.name!r} for life, not {log_name!r}")
    return parse_verifier_key(row.verifier_key)


def log_signer(session: Session) -> LogSigner:
    """The opened key of the log; an `Outage` before `zhigu init` has made one."""
    row = _newest(session)
    if row is None:
        raise Outage("The log has no key yet: run `zhigu init`.")
    return _opened(session, row)


def verifier_keys(session: Session) -> list[VerifierKey]:
    """Every key that the log has signed with, the newest first."""
    return [parse_verifier_key(row.verifier_key) for row in _keys(session)]


def proven_keys(session: Session) -> list[VerifierKey]:
    """The same, each shown to be ours by its sealed half; `LogBroken` names a planted one."""
    return [_opened(session, row).verifier for row in _keys(session)]


def _new_key(session: Session) -> LogKey:
    if session.exec(select(Checkpoint.size).limit(1)).first() is not None:
        raise LogBroken("the log has checkpoints but no key: restore audit_log_key")
    installation = installation_of(session)
    private = Ed25519PrivateKey.generate()
    verifier = verifier_key_of(installation.settings.log_name, private)
    return LogKey(
        id=new_id("key"),
        name=verifier.name,
        verifier_key=str(verifier),
        sealed_private=installation.keys.seal(private.private_bytes_raw(), _PURPOSE),
        created_at=now(session),
    )


def _opened(session: Session, row: LogKey) -> LogSigner:
    try:
        raw = installation_of(session).keys.unseal(row.sealed_private, _PURPOSE)
    except SealBroken as error:
        raise LogBroken(f"the log's key {row.id} does not open") from error
    private = Ed25519PrivateKey.from_private_bytes(raw)
    verifier = verifier_key_of(row.name, private)
    if str(verifier) != row.verifier_key:
        raise LogBroken(f"the log's key {row.id} is not the one that was sealed")
    return LogSigner(verifier, private)


def _keys(session: Session) -> list[LogKey]:
    return list(session.exec(select(LogKey).order_by(col(LogKey.id).desc())))


def _newest(session: Session) -> LogKey | None:
    return next(iter(_keys(session)), None)
