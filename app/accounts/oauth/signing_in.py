"""Signing in: a password, and then a browser session that is kept by its hash.

Whether anybody has the email makes no difference to the answer, the limit or the time it takes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from sqlmodel import Session, col, select

from app.accounts.identity_providers.queries import may_use_password
from app.accounts.joining import fold_email
from app.accounts.models import Organisation, Person
from app.accounts.oauth.limiting import count_try, forgive_try
from app.accounts.oauth.models import SignInSession
from app.accounts.passwords import MAX_CHARS, password_fits
from app.db.installation import Installation
from app.db.session import act_as, now
from app.kernel.actor import ANONYMOUS, Actor, ActorKind
from app.kernel.canonical import sha256_hex
from app.kernel.refusals import Refusal

SESSION_LIFE = timedelta(hours=8)
PASSWORD = "pwd"  # noqa: S105 - a method's name (RFC 8176 §2)


class SignInRefused(Refusal):
    """The email or the password is not right; which of the two is not told."""

    status: ClassVar[int] = 422
    slug: ClassVar[str] = "sign-in-refused"
    title: ClassVar[str] = "Not signed in"


@dataclass(frozen=True, kw_only=True, repr=False)
class ProvenSignIn:
    """A person whose password was right, and the hash that it was held against."""

    person_id: str
    email: str
    argon2: str


class PageStale(Refusal):
    """The form is not one that this browser was shown, or it has lost its cookie since."""

    status: ClassVar[int] = 422
    slug: ClassVar[str] = "page-stale"
    title: ClassVar[str] = "The page had expired"


def check_sign_in(
    installation: Installation, email: str, password: str, address: str
) -> ProvenSignIn:
    """The person whose password this is; refuses with `SignInRefused` or `TooManyTries`.

    Opens its own short transactions and hashes between them: call it before the request's own
    transaction has begun.
    """
    email = fold_email(email)
    with installation.transaction(ANONYMOUS) as session:
        count_try(session, email, address)
        found = session.exec(
            select(Person.id, Person.password_argon2)
            .join(Organisation, col(Organisation.id) == col(Person.organisation_id))
            .where(
                Person.email == (email if email.isprintable() else ""),
                col(Person.removed_at).is_(None),
                col(Organisation.suspended_at).is_(None),
                may_use_password(),
            )
        ).one_or_none()
    person_id, kept = found or (None, None)
    # One character more than any password has: the work must not grow with what is sent.
    if not password_fits(password[: MAX_CHARS + 1], kept) or person_id is None:
        raise _refused()
    assert kept is not None, "a password that fits has a hash"
    return ProvenSignIn(person_id=person_id, email=email, argon2=kept)


def start_session(session: Session, proven: ProvenSignIn, address: str) -> str:
    """A fresh session of the person, who has just proved themselves; the cookie's value.

    Refuses with `SignInRefused` if the password was changed, or its person stopped, meanwhile.
    """
    person = _hold_person(session, proven.person_id)
    if person.password_argon2 != proven.argon2 or not _is_alive(session, person):
        raise _refused()
    forgive_try(session, proven.email, address)
    return open_session(session, person.id, PASSWORD)


def open_session(session: Session, person_id: str, amr: str) -> str:
    """A fresh session of the person, who proved themselves by `amr`; the cookie's value."""
    value = secrets.token_urlsafe(32)
    moment = now(session)
    session.add(
        SignInSession(
            sha256=_digest(value),
            person_id=person_id,
            amr=amr,
            started_at=moment,
            lapses_at=moment + SESSION_LIFE,
            ended_at=None,
        )
    )
    return value


def find_session(session: Session, cookie: str | None) -> SignInSession | None:
    """The session under this cookie, while it lasts."""
    row = session.get(SignInSession, _digest(cookie)) if cookie else None
    if row is None or row.ended_at is not None or now(session) >= row.lapses_at:
        return None
    return row


def find_person(session: Session, cookie: str | None) -> Person | None:
    """Who is signed in under this cookie, still a member of an organisation that may act.

    What follows in `session` is recorded as theirs.
    """
    row = find_session(session, cookie)
    if row is None:
        return None
    return _acting(session, session.get_one(Person, row.person_id))


def hold_person(session: Session, cookie: str | None) -> Person | None:
    """Who is signed in under this cookie, held so: whatever ends it waits for this transaction.

    What is given to a client is given under this lock, so that who ends a session finds all that
    it gave, and it gives nothing after.
    """
    row = find_session(session, cookie)
    if row is None:
        return None
    # The person before their session: the order in which everything of theirs is ended.
    person = _hold_person(session, row.person_id)
    session.refresh(row, with_for_update=True)
    return None if find_session(session, cookie) is None else _acting(session, person)


def _acting(session: Session, person: Person) -> Person | None:
    """The person, as whom what follows is recorded, if they may act."""
    if not _is_alive(session, person):
        return None
    roles = frozenset({person.role.value})
    act_as(session, Actor(ActorKind.PERSON, person.id, person.organisation_id, roles=roles))
    return person


def end_session(session: Session, cookie: str | None) -> None:
    """End the session under this cookie, if there is one."""
    row = find_session(session, cookie)
    if row is None:
        return
    session.refresh(row, with_for_update=True)
    if row.ended_at is None:
        row.ended_at = now(session)


def _hold_person(session: Session, person_id: str) -> Person:
    """The person, locked, and their organisation, which cannot be suspended meanwhile.

    The organisation first: the order in which an owner's steps lock them too.
    """
    organisation_id = session.get_one(Person, person_id).organisation_id
    shared = {"read": True}
    session.get_one(Organisation, organisation_id, with_for_update=shared, populate_existing=True)
    return session.get_one(Person, person_id, with_for_update=True, populate_existing=True)


def _is_alive(session: Session, person: Person) -> bool:
    if person.removed_at is not None:
        return False
    return session.get_one(Organisation, person.organisation_id).suspended_at is None


def _refused() -> SignInRefused:
    return SignInRefused("The email address or the password is not right.")


def _digest(text: str) -> str:
    return sha256_hex(text.encode())
