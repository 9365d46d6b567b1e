"""Changing one's own password: it takes the present one, and ends every session and token."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from app.accounts.models import Person
from app.accounts.oauth.limiting import count_try, forgive_try
from app.accounts.passwords import MAX_CHARS, check_password, hash_password, password_fits
from app.accounts.people.ending import end_everything
from app.accounts.people.errors import PasswordChanged, PasswordNotRight, PeopleOnly
from app.audit.recording import record
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.kernel.actor import ANONYMOUS, Actor, ActorKind


@dataclass(frozen=True, kw_only=True, repr=False)
class ProvenChange:
    """A change that its person has proved: from one hash to another."""

    person_id: str
    email: str
    from_argon2: str
    to_argon2: str
    address: str


def prove_change(
    installation: Installation, actor: Actor, present: str, wanted: str, address: str
) -> ProvenChange:
    """The change, once `present` was right; each call that comes so far counts as a try.

    Refuses with `PeopleOnly`, `PasswordTooWeak`, `TooManyTries` or `PasswordNotRight`. Opens its
    own short transactions and hashes between them: call it before the request's own has begun.
    """
    if actor.kind is not ActorKind.PERSON:
        raise PeopleOnly("Only people have a password.")
    with installation.transaction(ANONYMOUS, writes=False) as session:
        person = get_or_refuse(session, Person, actor.id)
    check_password(wanted, person.email, person.name)
    with installation.transaction(ANONYMOUS) as session:
        count_try(session, person.email, address)
    if not password_fits(present[: MAX_CHARS + 1], person.password_argon2):
        raise PasswordNotRight("The present password is not right.")
    return ProvenChange(
        person_id=person.id,
        email=person.email,
        from_argon2=person.password_argon2,
        to_argon2=hash_password(wanted),
        address=address,
    )


def change_password(session: Session, change: ProvenChange) -> int:
    """Set the new password and end whatever the old one opened; how many sessions that were.

    Refuses with `PasswordChanged` if the present password is no longer the one that was proved.
    """
    # People before tries: the order in which a sign-in locks them too.
    person = get_or_refuse(session, Person, change.person_id, lock=True)
    if person.password_argon2 != change.from_argon2:
        raise PasswordChanged("The password was changed meanwhile; sign in again.")
    forgive_try(session, change.email, change.address)
    return set_password(session, person, change.to_argon2, "person:password_changed")


def set_password(session: Session, person: Person, argon2: str, kind: str) -> int:
    """Keep the new hash, end every session and token, and tell the log; `person` is locked."""
    person.password_argon2 = argon2
    ended = end_everything(session, person.id)
    organisations = (person.organisation_id,)
    record(session, kind, person.id, organisations=organisations)
    return ended
