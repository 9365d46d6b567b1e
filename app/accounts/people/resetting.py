"""Resetting: who forgot their password sets a new one, once, by what their owner hands them.

There is no mail: whoever may manage the organisation gets the link and gives it to the person by a
way that they trust. Whoever opens it is told nothing of the person before they have set it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from app.accounts.joining import managed_person
from app.accounts.models import Organisation, Person
from app.accounts.passwords import check_password, hash_password
from app.accounts.people.changing import set_password
from app.accounts.people.errors import OwnReset, ResetNotGood
from app.accounts.people.models import PasswordReset
from app.audit.recording import record
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import act_as, actor_of, now
from app.kernel.actor import ANONYMOUS, Actor, ActorKind
from app.kernel.canonical import sha256_hex

RESET_LIFE = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True, repr=False)
class ReadyReset:
    """A new password for the person whom a token names, hashed before it is kept."""

    sha256: str
    person_id: str
    to_argon2: str


def issue_reset(session: Session, organisation_id: str, person_id: str) -> tuple[str, datetime]:
    """A token that sets the member's password once, and when it lapses; it ends an earlier one.

    The password they have still holds until then. Refuses with `OwnReset`, and whoever could not
    have given the member their role.
    """
    person = managed_person(session, organisation_id, person_id)
    actor, moment = actor_of(session), now(session)
    if actor.id == person.id:
        raise OwnReset("Change your own password by the one that you have.")
    _end_open(session, person.id)
    token = secrets.token_urlsafe(32)
    row = PasswordReset(
        sha256=_digest(token),
        person_id=person.id,
        issued_by=actor.id,
        issued_at=moment,
        lapses_at=moment + RESET_LIFE,
        used_at=None,
        ended_at=None,
    )
    session.add(row)
    record(session, "person:reset_issued", person.id, organisations=(person.organisation_id,))
    return token, row.lapses_at


def prepare_reset(installation: Installation, token: str, wanted: str) -> ReadyReset:
    """The reset that `token` stands for, with the new password hashed.

    Refuses with `ResetNotGood` or `PasswordTooWeak`. Opens its own short transaction and hashes
    after it: call it before the request's own has begun. A token has 256 random bits: whoever
    guesses at them needs no limit, and costs us no hash.
    """
    sha256 = _digest(token)
    with installation.transaction(ANONYMOUS, writes=False) as session:
        row = session.get(PasswordReset, sha256)
        person = _person_of(session, row)
    check_password(wanted, person.email, person.name)
    return ReadyReset(sha256=sha256, person_id=person.id, to_argon2=hash_password(wanted))


def finish_reset(session: Session, ready: ReadyReset) -> None:
    """Set the password, once; every session and token of the person ends.

    Refuses with `ResetNotGood` if somebody was faster, or the right was taken back.
    """
    # The person before the reset: the order in which one is issued locks them too.
    get_or_refuse(session, Person, ready.person_id, lock=True)
    row = session.get(PasswordReset, ready.sha256, with_for_update=True, populate_existing=True)
    person = _person_of(session, row)
    assert row is not None, "a reset that is good has a row"
    roles = frozenset({person.role.value})
    act_as(session, Actor(ActorKind.PERSON, person.id, person.organisation_id, roles=roles))
    row.used_at = row.ended_at = now(session)
    set_password(session, person, ready.to_argon2, "person:password_reset")


def _person_of(session: Session, row: PasswordReset | None) -> Person:
    """Whose password a reset may set now; `ResetNotGood` for every reason that it may not."""
    if row is not None and row.ended_at is None and now(session) < row.lapses_at:
        person = session.get_one(Person, row.person_id)
        organisation = session.get_one(Organisation, person.organisation_id)
        if person.removed_at is None and organisation.suspended_at is None:
            return person
    raise ResetNotGood("This link does not work, or no longer: ask for another one.")


def _end_open(session: Session, person_id: str) -> None:
    session.execute(
        sa.update(PasswordReset)
        .where(col(PasswordReset.person_id) == person_id, col(PasswordReset.ended_at).is_(None))
        .values(ended_at=now(session))
    )


def _digest(token: str) -> str:
    return sha256_hex(token.encode())
