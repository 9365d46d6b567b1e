"""Authorization codes: bound to client, address, person and PKCE challenge, and good once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from sqlmodel import Session

from app.accounts.models import Client, Organisation, Person
from app.accounts.oauth.models import AuthorizationCode
from app.accounts.oauth.revoking import mark_revoked
from app.accounts.oauth.tokens import LIFE_S, SKEW_S
from app.accounts.roles import ROLE_SCOPES
from app.accounts.scopes import in_order
from app.audit.recording import record
from app.db.session import now
from app.kernel.canonical import sha256_hex
from app.kernel.refusals import Refusal

CODE_LIFE = timedelta(seconds=60)


class CodeReused(Refusal):
    """A code came a second time: somebody else may have had it. What it gave is taken back."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "code-reused"
    title: ClassVar[str] = "Code used before"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What a person has allowed a client."""

    client: Client
    person: Person
    redirect_uri: str
    scope: str
    code_challenge: str


def allowed_scopes(client: Client, person: Person, asked: str) -> list[str]:
    """Of what was asked, what both the client has and the person's role may use."""
    return in_order(set(asked.split()) & set(client.scopes) & ROLE_SCOPES[person.role])


def may_serve(client_organisation: Organisation, person: Person) -> bool:
    """Whether a person may use a client: one of their own organisation, or of the operator."""
    own = client_organisation.id == person.organisation_id
    return own or client_organisation.is_operator


def new_code(session: Session, consent: Consent) -> str:
    """A code for what a person has just allowed; kept by its hash."""
    code = secrets.token_urlsafe(32)
    person, client = consent.person, consent.client
    session.add(
        AuthorizationCode(
            sha256=sha256_hex(code.encode()),
            client_id=client.id,
            person_id=person.id,
            redirect_uri=consent.redirect_uri,
            scope=consent.scope,
            code_challenge=consent.code_challenge,
            lapses_at=now(session) + CODE_LIFE,
            used_at=None,
            jti=None,
        )
    )
    record(
        session,
        "consent:given",
        person.id,
        organisations=(person.organisation_id, client.organisation_id),
        client_id=client.id,
        scopes=consent.scope.split(),
    )
    return code


def find_code(session: Session, code: str, client_id: str) -> AuthorizationCode | None:
    """The client's own code while it lasts, locked; `CodeReused` for one that was used."""
    row = session.get(
        AuthorizationCode, sha256_hex(code.encode()), with_for_update=True, populate_existing=True
    )
    if row is None or row.client_id != client_id:
        return None
    if row.jti is not None:
        # Its values, not the row: the rollback that comes first empties the row.
        facts = {"client_id": client_id, "person_id": row.person_id, "jti": row.jti}
        raise CodeReused("The code was used before.", keep=lambda fresh: _take_back(fresh, facts))
    return row if now(session) < row.lapses_at else None


def spend_code(session: Session, row: AuthorizationCode, jti: str) -> None:
    """Mark the code used, for the token `jti`."""
    row.used_at = now(session)
    row.jti = jti


def _take_back(session: Session, facts: Mapping[str, str]) -> None:
    lapses_at = now(session) + timedelta(seconds=LIFE_S + 2 * SKEW_S)
    if not mark_revoked(session, facts["jti"], lapses_at):
        return
    client = session.get_one(Client, facts["client_id"])
    record(session, "code:reused", client.id, organisations=(client.organisation_id,), **facts)
