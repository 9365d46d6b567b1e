"""The keyring: keys that sign access tokens, sealed in the store, and their public halves."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from sqlmodel import Session, col, select

from app.accounts.oauth.models import TokenKey
from app.db.installation import Installation, installation_of
from app.db.session import now
from app.kernel.actor import ANONYMOUS
from app.kernel.jwk import PublicKey, base64url, base64url_decode, new_key

OVERLAP = timedelta(hours=1)
"""How long a retired key still verifies: longer than any token lives."""
RELOAD_AT_MOST_EVERY_S = 1.0


def ensure_token_key(session: Session) -> TokenKey:
    """The newest key in use; a first one is made if there is none."""
    found = session.exec(
        select(TokenKey)
        .where(col(TokenKey.retired_at).is_(None))
        .order_by(col(TokenKey.created_at).desc(), col(TokenKey.kid))
        .limit(1)
    ).first()
    if found is not None:
        return found
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
