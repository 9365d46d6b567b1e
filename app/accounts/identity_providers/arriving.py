"""Arriving: who comes back from their identity provider gets a session, and is who they were.

The provider's word counts within its own organisation alone: nobody of another one is taken over,
whatever their address; and whoever was removed here stays removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlmodel import Session, col, select

from app.accounts.enrolling import new_secret
from app.accounts.errors import LastOwner
from app.accounts.identity_providers.announcements import Announcement
from app.accounts.identity_providers.errors import ArrivalRefused, Why
from app.accounts.identity_providers.exchanging import Returned, claims_for
from app.accounts.identity_providers.leaving import browser_digest
from app.accounts.identity_providers.mapping import mail_domain_of
from app.accounts.identity_providers.models import (
    IdentityProvider,
    KnownIdentity,
    ProviderVisit,
)
from app.accounts.identity_providers.queries import is_confirmed, mapping_of
from app.accounts.joining import PersonWish, enter_person, give_role
from app.accounts.models import NAME_CHARS, Organisation, Person
from app.accounts.oauth.limiting import forgive_visit
from app.accounts.oauth.signing_in import open_session
from app.accounts.passwords import hash_password
from app.accounts.people.ending import end_everything
from app.accounts.roles import Role
from app.audit.recording import record
from app.db.installation import Installation
from app.db.session import act_as, now
from app.kernel.actor import ANONYMOUS, Actor, ActorKind
from app.kernel.canonical import sha256_hex

AMR = "fed"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Somebody at our door, as their provider says in a token that holds."""

    provider_id: str
    claims: Mapping[str, Any]
    email: str
    password_argon2: str


def take_visit(
    installation: Installation, answer: Mapping[str, str], cookie: str
) -> tuple[IdentityProvider, ProviderVisit]:
    """The visit that this answer ends, used up by it, and where it went.

    Refuses with `ArrivalRefused` an answer to nothing that this browser asked, or from elsewhere.
    """
    state_sha256 = sha256_hex(answer.get("state", "").encode())
    with installation.transaction(ANONYMOUS) as session:
        visit = session.get(ProviderVisit, state_sha256, with_for_update=True)
        moment = now(session)
        # Another browser does not use it up: its own may still come.
        if (
            visit is None
            or visit.browser_sha256 != browser_digest(cookie)
            or visit.used_at is not None
            or moment >= visit.lapses_at
        ):
            raise ArrivalRefused(Why.START_AGAIN, "This is no answer to what this browser asked.")
        visit.used_at = moment
        provider = session.get_one(IdentityProvider, visit.identity_provider_id)
    return provider, visit


def identify(
    installation: Installation,
    provider: IdentityProvider,
    answer: Mapping[str, str],
    cookie: str,
) -> Arrival:
    """Who came back from the provider with this answer; waits for it, outside any transaction.

    Refuses with `ArrivalRefused`; raises `IdentityProviderAway`.
    """
    _must_come_from(provider, answer.get("iss"))
    code = answer.get("code")
    if not code or "error" in answer:
        raise ArrivalRefused(Why.NOT_TRUSTED, "The provider sent an error.")
    returned = Returned(code=code, state=answer["state"], cookie=cookie)
    claims = claims_for(installation, provider, returned)
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise ArrivalRefused(Why.NOT_TRUSTED, "The provider vouches for no address.")
    # A password that nobody knows; hashed here, for hashing is no work for a transaction.
    unknown = "" if _is_known(installation, provider.id, claims) else hash_password(new_secret())
    return Arrival(
        provider_id=provider.id, claims=claims, email=email.lower(), password_argon2=unknown
    )


def admit(session: Session, arrival: Arrival, address: str) -> str:
    """A session of who arrived, with the role that their provider gives them; the cookie's value.

    Refuses with `ArrivalRefused`.
    """
    provider = session.get_one(IdentityProvider, arrival.provider_id)
    organisation = session.get_one(Organisation, provider.organisation_id, with_for_update=True)
    # After the organisation, as attaching and detaching lock them.
    session.refresh(provider, with_for_update=True)
    domain = mail_domain_of(arrival.email)
    if (
        provider.detached_at is not None
        or organisation.suspended_at is not None
        or not is_confirmed(session, organisation.id, domain)
    ):
        raise ArrivalRefused(Why.NOT_TRUSTED, "Nobody comes by this provider, or this domain.")
    person = _known_person(session, provider, arrival) or _same_person(session, provider, arrival)
    role = mapping_of(provider).role_of(arrival.claims)
    if role is None:
        raise _no_role(person)
    if person is None:
        person = _new_person(session, provider, arrival, role)
    _speak_for(session, person.id, person.organisation_id, person.role)
    _set_role(session, person, role)
    _bind(session, provider, arrival, person)
    # Tries after people: the order in which a sign-in locks them too.
    forgive_visit(session, address)
    return open_session(session, person.id, AMR)


def _must_come_from(provider: IdentityProvider, issuer: str | None) -> None:
    """RFC 9207 §2.4: what names its sender must name this one, and must if it says it does."""
    announced = msgspec.convert(provider.announced, Announcement)
    names_itself = announced.authorization_response_iss_parameter_supported
    if issuer != provider.issuer and (names_itself or issuer is not None):
        raise ArrivalRefused(Why.NOT_TRUSTED, "The answer names another sender.")


def _is_known(installation: Installation, provider_id: str, claims: Mapping[str, Any]) -> bool:
    with installation.transaction(ANONYMOUS, writes=False) as session:
        return session.get(KnownIdentity, (provider_id, claims["sub"])) is not None


def _known_person(session: Session, provider: IdentityProvider, arrival: Arrival) -> Person | None:
    """Whom the provider knows under this subject."""
    known = session.get(KnownIdentity, (provider.id, arrival.claims["sub"]))
    if known is None:
        return None
    person = session.get_one(Person, known.person_id, with_for_update=True)
    if person.removed_at is not None:
        raise ArrivalRefused(Why.NOT_TRUSTED, "They were removed.")
    return person


def _same_person(session: Session, provider: IdentityProvider, arrival: Arrival) -> Person | None:
    """A member with this very address, whom the provider knows under no other subject."""
    person = session.exec(
        select(Person).where(Person.email == arrival.email).with_for_update()
    ).one_or_none()
    if person is None:
        return None
    other = select(KnownIdentity).where(
        col(KnownIdentity.identity_provider_id) == provider.id,
        col(KnownIdentity.person_id) == person.id,
    )
    if (
        person.organisation_id != provider.organisation_id
        or person.removed_at is not None
        or session.exec(other).one_or_none() is not None
    ):
        raise ArrivalRefused(Why.NOT_TRUSTED, "The address is somebody else's.")
    return person


def _new_person(
    session: Session, provider: IdentityProvider, arrival: Arrival, role: Role
) -> Person:
    wish = PersonWish(
        email=arrival.email,
        name=_name_of(arrival),
        role=role,
        password_argon2=arrival.password_argon2,
    )
    _speak_for(session, wish.person_id, provider.organisation_id, role)
    return enter_person(session, provider.organisation_id, wish)


def _name_of(arrival: Arrival) -> str:
    said = arrival.claims.get("name")
    name = said.strip()[:NAME_CHARS] if isinstance(said, str) else ""
    return name if name and name.isprintable() else arrival.email.partition("@")[0]


def _set_role(session: Session, person: Person, role: Role) -> None:
    try:
        give_role(session, person, role)
    except LastOwner:
        # Somebody must stay the owner, whatever the provider says.
        return


def _bind(session: Session, provider: IdentityProvider, arrival: Arrival, person: Person) -> None:
    subject = str(arrival.claims["sub"])
    if session.get(KnownIdentity, (provider.id, subject)) is not None:
        return
    session.add(
        KnownIdentity(
            identity_provider_id=provider.id,
            subject=subject,
            person_id=person.id,
            bound_at=now(session),
        )
    )
    record(
        session,
        "person:identity_bound",
        person.id,
        organisations=(person.organisation_id,),
        identity_provider=provider.id,
        subject_sha256=sha256_hex(subject.encode()),
    )


def _speak_for(session: Session, person_id: str, organisation_id: str, role: Role) -> None:
    roles = frozenset({role.value})
    act_as(session, Actor(ActorKind.PERSON, person_id, organisation_id, roles=roles))


def _no_role(person: Person | None) -> ArrivalRefused:
    refusal = ArrivalRefused(Why.NO_ROLE, "The provider gives them no role.")
    if person is not None:
        person_id = person.id
        refusal.keep = lambda session: _sign_out(session, person_id)
    return refusal


def _sign_out(session: Session, person_id: str) -> None:
    session.get_one(Person, person_id, with_for_update=True)
    end_everything(session, person_id)
