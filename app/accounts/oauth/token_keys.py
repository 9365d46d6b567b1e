"""The keyring: keys that sign access tokens, sealed in the store, and their public halves."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.oauth.models import TokenKey
from app.db.installation import Installation, installation_of
from app.db.session import now
from app.kernel.actor import ANONYMOUS
from app.kernel.jwk import PublicKey, base64url, base64url_decode, new_key
from app.kernel.sealing import SealBroken

OVERLAP = timedelta(hours=1)
"""How long a retired key still verifies: longer than any token lives."""
PUBLISHED_BEFORE = timedelta(minutes=10)
"""How long a key is published before it signs: others may keep `/oauth/jwks` for five minutes."""
RELOAD_AT_MOST_EVERY_S = 1.0


def ensure_token_key(session: Session) -> TokenKey:
    """The key that signs now: of those in use the one that retires first. A first key is made if
    there is none.

    A key's `retired_at` lies ahead while its successor is only published: see `rotate_token_key`.
    """
    found = session.exec(
        select(TokenKey)
        .where(sa.or_(col(TokenKey.retired_at).is_(None), col(TokenKey.retired_at) > now(session)))
        .order_by(col(TokenKey.retired_at).nulls_last(), col(TokenKey.kid))
        .limit(1)
    ).first()
    return found if found is not None else _new_token_key(session)


def rotate_token_key(session: Session) -> TokenKey:
    """A new key, which signs from `PUBLISHED_BEFORE` on; those before it retire then."""
    for row in session.exec(_in_use().with_for_update()):
        row.retired_at = now(session) + PUBLISHED_BEFORE
    return _new_token_key(session)


def newest_token_key(session: Session) -> TokenKey:
    """The key that signs now or will next."""
    return session.exec(_in_use()).one()


def retired_token_keys(session: Session) -> Sequence[TokenKey]:
    """Keys that sign no more or will not for long, the oldest first."""
    return session.exec(
        select(TokenKey)
        .where(col(TokenKey.retired_at).is_not(None))
        .order_by(col(TokenKey.retired_at), col(TokenKey.kid))
        .with_for_update()
    ).all()


def holds_until(row: TokenKey) -> datetime:
    """When the last token of a retired key has lapsed, and the key is published no longer."""
    assert row.retired_at is not None
    return row.retired_at + OVERLAP


def check_pair(installation: Installation, row: TokenKey) -> None:
    """Raise `SealBroken` unless the public half is that of the private one which is sealed: who can
    write a row still signs no tokens.
    """
    secret = installation.keys.unseal(row.sealed_private, _purpose(row.kid))
    public = PublicKey(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())
    if (base64url(public.raw), public.thumbprint) != (row.public_x, row.kid):
        raise SealBroken(f"token key {row.kid} is not the one that was sealed")


def _in_use() -> SelectOfScalar[TokenKey]:
    return select(TokenKey).where(col(TokenKey.retired_at).is_(None)).order_by(col(TokenKey.kid))


def _new_token_key(session: Session) -> TokenKey:
    key = new_key()
    row = TokenKey(
        kid=key.kid,
        public_x=base64url(key.public.raw),
        sealed_private=installation_of(session).keys.seal(
            key.private.private_bytes_raw(), _purpose(key.kid)
        ),
        created_at=now(session),
    )
    session.add(row)
    session.flush()
    return row


def opened_key(installation: Installation, row: TokenKey) -> OKPKey:
    """The whole key, as joserfc signs with it; kept in memory no longer than one signature."""
    secret = installation.keys.unseal(row.sealed_private, _purpose(row.kid))
    return OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": row.public_x, "d": base64url(secret)}
    )


def public_keys(session: Session) -> dict[str, PublicKey]:
    """Every key that tokens of now may be signed by, by its `kid`."""
    rows = session.exec(
        select(TokenKey).where(
            sa.or_(
                col(TokenKey.retired_at).is_(None),
                col(TokenKey.retired_at) > now(session) - OVERLAP,
            )
        )
    )
    return {row.kid: PublicKey(base64url_decode(row.public_x)) for row in rows}


class PublishedKeys:
    """The public keys in memory, read again when a token names one that is not among them.

    Usable from any thread. Unknown names cost at most one look at the store per second, however
    many are tried.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._lock = threading.Lock()
        self._keys: Mapping[str, PublicKey] = {}
        self._may_reload_at = 0.0

    def find(self, kid: str) -> PublicKey | None:
        """The key called `kid`, or None; `Outage` when the store does not answer."""
        found = self._keys.get(kid)
        if found is not None:
            return found
        with self._lock:
            if kid not in self._keys and time.monotonic() >= self._may_reload_at:
                with self._installation.transaction(ANONYMOUS, writes=False) as session:
                    self._keys = public_keys(session)
                self._may_reload_at = time.monotonic() + RELOAD_AT_MOST_EVERY_S
            return self._keys.get(kid)


def _purpose(kid: str) -> str:
    return f"token-key:{kid}"
