"""Liveness: whether what a token says is still so. A token lives ten minutes; this is sooner."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.accounts.models import Client, Organisation, Person
from app.accounts.oauth.models import Delegation, RevokedToken
from app.accounts.oauth.tokens import LIFE_S, SKEW_S, TokenInvalid, TokenVerifier
from app.accounts.roles import ROLE_SCOPES, Role
from app.accounts.scopes import PERSONAL_SCOPES
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import ANONYMOUS, Actor, ActorKind

LONGEST_LIFE = timedelta(seconds=LIFE_S + 2 * SKEW_S)


def check_live(session: Session, actor: Actor) -> None:
    """Refuse with `TokenInvalid` an actor whose client, organisation, role or token has ended."""
    client = session.get(Client, actor.client_id)
    organisation = session.get(Organisation, actor.organisation_id)
    if client is None or client.revoked_at is not None:
        raise TokenInvalid
    if organisation is None or organisation.suspended_at is not None:
        raise TokenInvalid
    if client.organisation_id != organisation.id and _is_suspended(session, client):
        raise TokenInvalid
    if actor.kind is ActorKind.PERSON and not _may_still_act(session, actor):
        raise TokenInvalid
    if session.get(RevokedToken, actor.token_id) is not None:
        raise TokenInvalid


def ended_subjects(session: Session) -> frozenset[str]:
    """What no token may speak for now: ids of clients, people, organisations, delegations, tokens.

    For a process that keeps verified tokens in memory: it asks anew several times a second and
    refuses an actor of whom `subjects_of` names one. What ended so long ago that no token of it
    can be alive is left out.
    """
    since = now(session) - LONGEST_LIFE
    ended = sa.union_all(
        sa.select(col(Client.id)).where(col(Client.revoked_at) >= since),
        sa.select(col(Organisation.id)).where(col(Organisation.suspended_at).is_not(None)),
        sa.select(col(Person.id)).where(col(Person.removed_at) >= since),
        sa.select(col(Delegation.id)).where(col(Delegation.ended_at) >= since),
        sa.select(col(RevokedToken.jti)).where(col(RevokedToken.lapses_at) > now(session)),
    )
    moved = sa.select(col(Person.id), col(Person.role)).where(
        col(Person.role_changed_at) >= since,
        col(Person.role_changed_at) > col(Person.joined_at),
    )
    lost = {
        _role_held(person_id, role)
        for person_id, kept in session.execute(moved)
        for role in Role
        if role is not kept
    }
    return frozenset(lost.union(session.execute(ended).scalars()))


def subjects_of(actor: Actor) -> frozenset[str]:
    """The names that must not be among `ended_subjects` for the actor's token to hold."""
    names = {actor.id, actor.client_id, actor.organisation_id, actor.token_id}
    names.add(actor.delegation_id)
    if actor.kind is ActorKind.PERSON:
        names.update(_role_held(actor.id, role) for role in actor.roles)
    return frozenset(name for name in names if name is not None)


class AccountAuthenticator:
    """From a bearer token to a live actor, for the control plane: asks the store at each call."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.verifier = TokenVerifier(installation)

    def actor_of(self, token: str) -> Actor:
        """The actor of a valid access token that nothing has ended; raises `NotSignedIn`."""
        actor, _lapses_at_s = self.verifier.verify(token)
        with self._installation.transaction(ANONYMOUS, writes=False) as session:
            check_live(session, actor)
        return actor


def _role_held(person_id: str, role: str) -> str:
    return f"{person_id}/{role}"


def _is_suspended(session: Session, client: Client) -> bool:
    owner = session.exec(
        select(Organisation.suspended_at).where(Organisation.id == client.organisation_id)
    ).one()
    return owner is not None


def _may_still_act(session: Session, actor: Actor) -> bool:
    person = session.get(Person, actor.id)
    delegation = session.get(Delegation, actor.delegation_id)
    if person is None or person.removed_at is not None:
        return False
    if delegation is None or delegation.ended_at is not None:
        return False
    usable = ROLE_SCOPES[person.role].union(PERSONAL_SCOPES)
    return actor.roles == {person.role.value} and actor.scopes <= usable
