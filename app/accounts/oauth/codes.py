"""Authorization codes: bound to client, address, person and PKCE challenge, and good once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session

from app.accounts.models import Client, Organisation, Person
from app.accounts.oauth.delegating import UsedBefore, Why, begin_delegation, live_delegation
from app.accounts.oauth.models import AuthorizationCode, Delegation, SignInSession
from app.accounts.roles import ROLE_SCOPES
from app.accounts.scopes import PERSONAL_SCOPES, in_order
from app.db.session import now
from app.kernel.canonical import sha256_hex

CODE_LIFE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What the person who is signed in has just agreed to, and where the client wants to hear."""

    client: Client
    signed_in: SignInSession
    redirect_uri: str
    scope: str
    code_challenge: str


def allowed_scopes(client: Client, person: Person, asked: str) -> list[str]:
    """Of what was asked, what both the client has and the person's role may use, and what any
    person may let any client know."""
    usable = set(client.scopes) & ROLE_SCOPES[person.role]
    return in_order(set(asked.split()) & usable.union(PERSONAL_SCOPES))


def may_serve(client_organisation: Organisation, person: Person) -> bool:
    """Whether a person may use a client: one of their own organisation, or of the operator."""
    own = client_organisation.id == person.organisation_id
    return own or client_organisation.is_operator


def new_code(session: Session, consent: Consent) -> str:
    """A code for what a person has just allowed; kept by its hash."""
    code = secrets.token_urlsafe(32)
    delegation = begin_delegation(
        session, consent.client, consent.signed_in, consent.scope, CODE_LIFE
    )
    session.add(
        AuthorizationCode(
            sha256=sha256_hex(code.encode()),
            delegation_id=delegation.id,
            redirect_uri=consent.redirect_uri,
            code_challenge=consent.code_challenge,
            lapses_at=delegation.lapses_at,
            used_at=None,
        )
    )
    return code


def find_code(
    session: Session, code: str, client_id: str
) -> tuple[AuthorizationCode, Delegation] | None:
    """The client's own code while it lasts, and its delegation, both locked.

    Refuses with `UsedBefore` one that was used.
    """
    row = session.get(
        AuthorizationCode, sha256_hex(code.encode()), with_for_update=True, populate_existing=True
    )
    delegation = None if row is None else live_delegation(session, row.delegation_id)
    if row is None or delegation is None or delegation.client_id != client_id:
        return None
    if row.used_at is not None:
        raise UsedBefore("The code was used before.", delegation.id, Why.CODE_REUSED)
    return (row, delegation) if now(session) < row.lapses_at else None


def spend_code(session: Session, row: AuthorizationCode) -> None:
    """Mark it used; it stays, so that a second use is seen."""
    row.used_at = now(session)
