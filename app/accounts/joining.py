"""Joining: people of an organisation, each with one role."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.claiming import claim
from app.accounts.enrolling import check_gift
from app.accounts.errors import EmailNotAvailable, LastOwner, OperatorOnly
from app.accounts.models import Person
from app.accounts.queries import access_managed_organisation, access_organisation
from app.accounts.roles import ALLIANCE_ROLES, ROLE_SCOPES, Role
from app.audit.recording import record
from app.db.session import now
from app.kernel.ids import new_id
from app.kernel.refusals import RowNotFound


@dataclass(frozen=True, kw_only=True)
class PersonWish:
    """Who is to join; the password comes hashed, for hashing is no work for a transaction."""

    email: str
    name: str
    role: Role
    password_argon2: str
    person_id: str = field(default_factory=lambda: new_id("usr"))


def add_person(session: Session, organisation_id: str, wish: PersonWish) -> Person:
    """A person of the organisation, with a role that the actor may give.

    Refuses with `ScopeNotYoursToGive`, `OperatorOnly` or `EmailNotAvailable`.
    """
    check_role(session, organisation_id, wish.role)
    return enter_person(session, organisation_id, wish)


def enter_person(session: Session, organisation_id: str, wish: PersonWish) -> Person:
    """The person of `wish`, made and recorded; whether they may be is for the caller to say."""
    moment = now(session)
    person = Person(
        id=wish.person_id,
        organisation_id=organisation_id,
        email=fold_email(wish.email),
        name=wish.name,
        role=wish.role,
        password_argon2=wish.password_argon2,
        joined_at=moment,
        role_changed_at=moment,
        removed_at=None,
    )
    claim(session, person, EmailNotAvailable("This email address cannot be used here."))
    _record(session, "person:joined", person)
    return person


def change_role(session: Session, organisation_id: str, person_id: str, role: Role) -> Person:
    """Give the person another role; tokens under the old one hold no longer."""
    check_role(session, organisation_id, role)
    person = _person(session, organisation_id, person_id)
    give_role(session, person, role)
    return person


def give_role(session: Session, person: Person, role: Role) -> None:
    """Let the person, who is locked, have this role; whether they may is for the caller to say."""
    if person.role is not role:
        _keep_an_owner(session, person)
        person.role = role
        person.role_changed_at = now(session)
        _record(session, "person:role_changed", person)


def remove_person(session: Session, organisation_id: str, person_id: str) -> Person:
    """End the person's membership: no more signing in, and no token holds. Repeat is safe."""
    access_managed_organisation(session, organisation_id)
    person = _person(session, organisation_id, person_id)
    if person.removed_at is None:
        _keep_an_owner(session, person)
        person.removed_at = now(session)
        _record(session, "person:removed", person)
    return person


def managed_person(session: Session, organisation_id: str, person_id: str) -> Person:
    """The member, locked, for an actor that could have given them their role; else a refusal."""
    access_managed_organisation(session, organisation_id)
    person = _person(session, organisation_id, person_id)
    check_role(session, organisation_id, person.role)
    if person.removed_at is not None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return person


def people_of(session: Session, organisation_id: str) -> SelectOfScalar[Person]:
    """The organisation's people, for those who may see it."""
    access_organisation(session, organisation_id)
    return select(Person).where(Person.organisation_id == organisation_id)


def fold_email(email: str) -> str:
    """The one spelling under which an address is kept and looked for."""
    return email.strip().lower()


def check_role(session: Session, organisation_id: str, role: Role) -> None:
    """Refuse a role that the actor may not give to people of the organisation."""
    organisation = access_managed_organisation(session, organisation_id)
    if organisation.is_operator and role not in ALLIANCE_ROLES:
        raise OperatorOnly("The operator's own people hold alliance roles.")
    check_gift(session, organisation, sorted(ROLE_SCOPES[role]), [role])


def _person(session: Session, organisation_id: str, person_id: str) -> Person:
    person = session.get(Person, person_id, with_for_update=True, populate_existing=True)
    if person is None or person.organisation_id != organisation_id:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return person


def _keep_an_owner(session: Session, person: Person) -> None:
    """Refuse to take its last owner from an organisation; `person` is about to stop being one."""
    if person.role is not Role.OWNER:
        return
    owners = session.exec(
        select(sa.func.count()).where(
            Person.organisation_id == person.organisation_id,
            Person.role == Role.OWNER,
            col(Person.removed_at).is_(None),
        )
    ).one()
    if owners == 1:
        raise LastOwner("Somebody must stay the owner: name another one first.")


def _record(session: Session, kind: str, person: Person) -> None:
    record(
        session,
        kind,
        person.id,
        organisations=(person.organisation_id,),
        role=person.role.value,
    )
