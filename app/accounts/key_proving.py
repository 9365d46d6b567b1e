"""Key proving: an organisation registers a signing key by showing that it holds its private half.

A nonce is sealed text: it needs no row until it is used, opens for one organisation only, lapses,
and works once.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.claiming import claim
from app.accounts.errors import KeyAlreadyRegistered, KeyInvalid, NonceUnknown
from app.accounts.models import SigningKey, UsedNonce
from app.accounts.queries import access_managed_organisation, access_organisation
from app.audit.recording import record
from app.db.installation import Installation, installation_of
from app.db.session import actor_of, now
from app.kernel.actor import job_actor
from app.kernel.canonical import sha256_hex
from app.kernel.clock import epoch_us, from_epoch_us
from app.kernel.ids import new_id
from app.kernel.jwk import JoseInvalid, PublicKey, json_object, public_key
from app.kernel.jws import KEY_PROOF_TYPE, verify_compact
from app.kernel.refusals import RowNotFound
from app.kernel.sealing import SealBroken

NONCE_LIFE = timedelta(minutes=10)


def new_nonce(session: Session, organisation_id: str) -> tuple[str, int]:
    """A nonce for one key proof of this organisation, and for how many seconds it is good."""
    access_managed_organisation(session, organisation_id, lock=False)
    lapses_at_us = epoch_us(now(session) + NONCE_LIFE)
    content = json.dumps([lapses_at_us, secrets.token_urlsafe(16)]).encode()
    nonce = installation_of(session).keys.seal(content, _purpose(organisation_id))
    return nonce, int(NONCE_LIFE.total_seconds())


def register_key(
    session: Session, organisation_id: str, jwk: Mapping[str, Any], proof: str
) -> SigningKey:
    """The organisation's new signing key.

    `proof` is a compact JWS by that key, of type `zhigu-key-proof+jws`, over exactly
    `{"organisation": id, "nonce": …}`. Refuses with `KeyInvalid`, `NonceUnknown` or
    `KeyAlreadyRegistered`.
    """
    access_managed_organisation(session, organisation_id)
    try:
        key = public_key(jwk)
        header, payload = verify_compact(proof, key, typ=KEY_PROOF_TYPE)
        claims = json_object(payload, "proof")
    except JoseInvalid as error:
        raise KeyInvalid(f"The key or its proof does not hold: {error}.") from error
    if header.kid != key.thumbprint:
        raise KeyInvalid("The proof's kid must be the key's thumbprint (RFC 7638).")
    if set(claims) != {"organisation", "nonce"} or claims["organisation"] != organisation_id:
        raise KeyInvalid("The proof is over this organisation's id and a nonce, nothing else.")
    _use_nonce(session, organisation_id, claims["nonce"])
    return _add_key(session, organisation_id, key)


def revoke_key(session: Session, organisation_id: str, key_id: str) -> SigningKey:
    """Withdraw the key: what it signed stays signed, it signs nothing more. Repeat is safe."""
    access_managed_organisation(session, organisation_id)
    row = session.get(SigningKey, key_id, with_for_update=True, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise RowNotFound("There is no such thing, or it is not yours.")
    if row.revoked_at is None:
        row.revoked_at = now(session)
        record(
            session,
            "key:revoked",
            row.id,
            organisations=(organisation_id,),
            thumbprint=row.thumbprint,
        )
    return row


def keys_of(session: Session, organisation_id: str) -> SelectOfScalar[SigningKey]:
    """The organisation's keys, for those who may see it."""
    access_organisation(session, organisation_id)
    return select(SigningKey).where(SigningKey.organisation_id == organisation_id)


def forget_nonces(installation: Installation) -> None:
    """Drop used nonces that have lapsed: they open no longer; recurring work."""
    with installation.transaction(job_actor("accounts.sweep")) as session:
        session.execute(delete(UsedNonce).where(col(UsedNonce.lapses_at) <= now(session)))


def _add_key(session: Session, organisation_id: str, key: PublicKey) -> SigningKey:
    row = SigningKey(
        id=new_id("key"),
        organisation_id=organisation_id,
        thumbprint=key.thumbprint,
        jwk=key.jwk,
        registered_at=now(session),
        registered_by=actor_of(session).id,
        revoked_at=None,
    )
    claim(session, row, KeyAlreadyRegistered("This key is registered already; make another."))
    record(
        session,
        "key:registered",
        row.id,
        organisations=(organisation_id,),
        thumbprint=key.thumbprint,
        jwk=key.jwk,
    )
    return row


def _use_nonce(session: Session, organisation_id: str, nonce: object) -> None:
    refused = NonceUnknown("The nonce is not known, or no longer: ask for a fresh one.")
    if not isinstance(nonce, str):
        raise refused
    try:
        content = installation_of(session).keys.unseal(nonce, _purpose(organisation_id))
    except SealBroken as error:
        raise refused from error
    lapses_at = from_epoch_us(json.loads(content)[0])
    name = sha256_hex(content)
    if now(session) >= lapses_at:
        raise refused
    claim(session, UsedNonce(sha256=name, lapses_at=lapses_at), refused)


def _purpose(organisation_id: str) -> str:
    return f"key-nonce:{organisation_id}"
