"""Routes: the signing keys of an organisation."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlmodel import Session, col

from app.accounts.key_proving import keys_of, new_nonce, register_key, revoke_key
from app.accounts.models import SigningKey
from app.accounts.schemas import NewKey
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ, ORGANISATIONS_WRITE
from app.accounts.views import KeyView, NonceView, key_view
from app.http.guarding import needs
from app.http.paging import page_of
from app.http.schemas import Page

TAGS = ["Accounts"]
PATH = "/api/v1/organisations/{organisation_id:str}/keys"
READ = [needs(ORGANISATIONS_READ, ADMIN)]
WRITE = [needs(ORGANISATIONS_WRITE, ADMIN)]


@get(f"{PATH}/nonce", sync_to_thread=True, guards=WRITE, tags=TAGS)
def get_nonce(organisation_id: FromPath[str], session: NamedDependency[Session]) -> NonceView:
    """A nonce for one key proof of this organisation; good once, for ten minutes."""
    return _nonce(session, organisation_id)


@post(f"{PATH}/nonce", sync_to_thread=True, guards=WRITE, tags=TAGS)
def post_nonce(organisation_id: FromPath[str], session: NamedDependency[Session]) -> NonceView:
    """A nonce for one key proof of this organisation; good once, for ten minutes."""
    return _nonce(session, organisation_id)


@post(PATH, sync_to_thread=True, guards=WRITE, tags=TAGS)
def post_key(
    organisation_id: FromPath[str], data: JSONBody[NewKey], session: NamedDependency[Session]
) -> KeyView:
    """Register the public half of a signing key by a proof that its private half is held."""
    return key_view(register_key(session, organisation_id, data.jwk, data.proof))


@get(PATH, sync_to_thread=True, guards=READ, tags=TAGS)
def list_keys(
    organisation_id: FromPath[str],
    session: NamedDependency[Session],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[KeyView]:
    """The organisation's signing keys, revoked ones too."""
    keys = keys_of(session, organisation_id)
    return page_of(session, keys, col(SigningKey.id), key_view, limit=limit, cursor=cursor)


@post(
    f"{PATH}/{{key_id:str}}/revoke",
    sync_to_thread=True,
    guards=WRITE,
    status_code=200,
    tags=TAGS,
)
def post_revoke_key(
    organisation_id: FromPath[str], key_id: FromPath[str], session: NamedDependency[Session]
) -> KeyView:
    """Withdraw a key: what it signed stays signed, it signs nothing more."""
    return key_view(revoke_key(session, organisation_id, key_id))


def _nonce(session: Session, organisation_id: str) -> NonceView:
    nonce, expires_in_s = new_nonce(session, organisation_id)
    return NonceView(nonce=nonce, expires_in=expires_in_s)


KEY_ROUTES = (get_nonce, post_nonce, post_key, list_keys, post_revoke_key)
