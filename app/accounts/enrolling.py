"""Enrolling: clients are made with no more than their maker may give, and can be taken back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.client_keys import read_key_set
from app.accounts.errors import (
    ClientRevoked,
    KeyInvalid,
    OperatorOnly,
    ScopeNotYoursToGive,
    SecretNotUsed,
)
from app.accounts.models import Client, Organisation
from app.accounts.queries import access_managed_organisation, access_organisation
from app.accounts.redirect_uris import check_redirect_uri
from app.accounts.roles import ALLIANCE_ROLES, Role, is_admin
from app.accounts.scopes import ADMIN, SCOPES, TRADING_SCOPES, in_order
from app.accounts.states import AuthMethod, GrantType
from app.audit.recording import record
from app.db.session import actor_of, now
from app.kernel.ids import new_id
from app.kernel.jwk import JoseInvalid
from app.kernel.refusals import Malformed, RowNotFound

SECRET_BYTES = 32
BY_PERSONS = frozenset({GrantType.AUTHORIZATION_CODE})
"""Grant types by which a person lets a client act for them."""


@dataclass(frozen=True, kw_only=True)
class ClientWish:
    """What a new client is to be; without grant types, it has those that its kind is made for."""

    name: str
    scopes: Sequence[str]
    auth_method: AuthMethod = AuthMethod.SECRET_BASIC
    redirect_uris: Sequence[str] = ()
    roles: Sequence[Role] = ()
    grant_types: Sequence[GrantType] = ()
    jwks: Mapping[str, Any] | None = None

    def all_grant_types(self) -> Sequence[GrantType]:
        """The grant types that it is to have, each once."""
        if self.grant_types:
            return [one for one in GrantType if one in self.grant_types]
        codes = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)
        own = () if self.auth_method is AuthMethod.NONE else (GrantType.CLIENT_CREDENTIALS,)
        return [*(codes if self.redirect_uris else ()), *own]


def enrol_client(
    session: Session, organisation_id: str, wish: ClientWish
) -> tuple[Client, str | None]:
    """A new client of the organisation, and its secret, which is shown this once.

    Refuses with `ScopeNotYoursToGive` or `OperatorOnly` what the actor may not give.
    """
    organisation = access_managed_organisation(session, organisation_id)
    _check_shape(wish)
    check_gift(session, organisation, wish.scopes, wish.roles)
    return add_client(session, organisation, wish)


def add_client(
    session: Session, organisation: Organisation, wish: ClientWish
) -> tuple[Client, str | None]:
    """The client of `wish`, made and recorded; whether it may be is for the caller to say."""
    secret = new_secret() if wish.auth_method is AuthMethod.SECRET_BASIC else None
    client = Client(
        id=new_id("cli"),
        organisation_id=organisation.id,
        name=wish.name,
        auth_method=wish.auth_method,
        secret_sha256=None if secret is None else secret_digest(secret),
        scopes=in_order(wish.scopes),
        roles=sorted({role.value for role in wish.roles}),
        redirect_uris=list(wish.redirect_uris),
        grant_types=[one.value for one in wish.all_grant_types()],
        jwks=None if wish.jwks is None else dict(wish.jwks),
        created_at=now(session),
        created_by=actor_of(session).id,
        revoked_at=None,
    )
    session.add(client)
    session.flush()
    record(
        session,
        "client:created",
        client.id,
        organisations=(organisation.id,),
        scopes=client.scopes,
        roles=client.roles,
        auth_method=client.auth_method.value,
        redirect_uris=client.redirect_uris,
        grant_types=client.grant_types,
        jwks=client.jwks,
    )
    return client, secret


def revoke_client(session: Session, organisation_id: str, client_id: str) -> Client:
    """End the client; its tokens hold no longer. Ending it again changes nothing."""
    access_managed_organisation(session, organisation_id)
    client = _client(session, organisation_id, client_id)
    if client.revoked_at is None:
        client.revoked_at = now(session)
        record(session, "client:revoked", client.id, organisations=(organisation_id,))
    return client


def rotate_secret(session: Session, organisation_id: str, client_id: str) -> tuple[Client, str]:
    """A new secret in place of the old one, which stops working at once.

    Whoever holds it can do all that the client may: it is given like a new client, and refused
    with `ScopeNotYoursToGive` to an actor that could not make such a one.
    """
    organisation = access_managed_organisation(session, organisation_id)
    client = _client(session, organisation_id, client_id)
    if client.revoked_at is not None:
        raise ClientRevoked("This client was revoked.", state="revoked")
    if client.auth_method is not AuthMethod.SECRET_BASIC:
        raise SecretNotUsed("This client has no secret.")
    check_gift(session, organisation, client.scopes, [Role(role) for role in client.roles])
    secret = new_secret()
    client.secret_sha256 = secret_digest(secret)
    record(session, "client:secret_rotated", client.id, organisations=(organisation_id,))
    return client, secret


def check_gift(
    session: Session, organisation: Organisation, scopes: Sequence[str], roles: Sequence[Role]
) -> None:
    """Refuse to give away what the actor does not have, or what such an organisation may not."""
    actor = actor_of(session)
    if ALLIANCE_ROLES & set(roles) or ADMIN in scopes:
        if not organisation.is_operator:
            raise OperatorOnly("Alliance roles and the scope admin are for the operator only.")
        if not is_admin(actor):
            raise ScopeNotYoursToGive("Only the administrator gives alliance roles.")
    limit = frozenset(SCOPES) if is_admin(actor) else actor.scopes & TRADING_SCOPES
    if beyond := sorted(set(scopes) - limit):
        raise ScopeNotYoursToGive("Nobody gives a scope that their own token lacks.", scopes=beyond)


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_digest(secret: str) -> str:
    """What is kept of a secret. It is random and long: no salt or slow hash would add anything."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_fits(client: Client | None, secret: str) -> bool:
    """Whether `secret` is the client's; takes as long when there is no client."""
    kept = (client.secret_sha256 if client else None) or "-" * 64
    return hmac.compare_digest(kept, secret_digest(secret))


def clients_of(session: Session, organisation_id: str) -> SelectOfScalar[Client]:
    """The organisation's clients, for those who may see it."""
    access_organisation(session, organisation_id)
    return select(Client).where(Client.organisation_id == organisation_id)


def _check_shape(wish: ClientWish) -> None:
    for uri in wish.redirect_uris:
        check_redirect_uri(uri)
    if set(wish.roles) - ALLIANCE_ROLES:
        raise Malformed("Only alliance roles are given to programs; use scopes.", path=".roles")
    types = set(wish.all_grant_types())
    if wish.auth_method is AuthMethod.NONE and not wish.redirect_uris:
        raise Malformed(
            "A client without a secret signs people in: it needs a redirect address.",
            path=".redirect_uris",
        )
    if (GrantType.AUTHORIZATION_CODE in types) != bool(wish.redirect_uris):
        raise Malformed(
            "Codes are sent to redirect addresses: a client has both or neither.",
            path=".grant_types",
        )
    if wish.auth_method is AuthMethod.NONE and GrantType.CLIENT_CREDENTIALS in types:
        raise Malformed("A client without a secret has no credentials.", path=".grant_types")
    if GrantType.REFRESH_TOKEN in types and not types & BY_PERSONS:
        raise Malformed("Nothing gives this client a refresh token.", path=".grant_types")
    _check_keys(wish)


def _check_keys(wish: ClientWish) -> None:
    if (wish.auth_method is AuthMethod.PRIVATE_KEY_JWT) != (wish.jwks is not None):
        raise Malformed(
            "A client that proves itself by private_key_jwt brings its public keys; no other does.",
            path=".jwks",
        )
    if wish.jwks is not None:
        try:
            read_key_set(wish.jwks)
        except JoseInvalid as error:
            raise KeyInvalid(f"The client's keys do not hold: {error}.") from error


def _client(session: Session, organisation_id: str, client_id: str) -> Client:
    client = session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None or client.organisation_id != organisation_id:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return client
