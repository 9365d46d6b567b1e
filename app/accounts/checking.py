"""Do accounts say what the log says of them? Invariant A1, read-only; names each broken row.

Who may do what, and who was verified by whom, cannot change behind the log's back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from app.accounts.alliance import checking as alliance_checking
from app.accounts.identity_providers import checking as identity_checking
from app.accounts.models import Client, Organisation, Person, SigningKey, Verification
from app.accounts.oauth import checking as oauth_checking
from app.accounts.people import checking as people_checking
from app.accounts.states import Decision, VerificationState
from app.audit.told import Tale, lost_rows, with_tales
from app.kernel.clock import from_rfc3339, rfc3339

REQUESTED = "organisation:verification_requested"
VERIFYING = (
    REQUESTED,
    *(f"organisation:{decision.value}" for decision in Decision),
    "organisation:expired",
)
ORGANISATION_LEAVES = (
    "organisation:registered",
    "organisation:suspended",
    "organisation:resumed",
    *VERIFYING,
)
PERSON_LEAVES = ("person:joined", "person:role_changed", "person:removed")


def problems(session: Session) -> Iterator[str]:
    """Organisations, reviews, people, programs and keys that the log tells otherwise of."""
    yield from _organisation_problems(session)
    yield from _verification_problems(session)
    yield from _person_problems(session)
    yield from _client_problems(session)
    yield from _key_problems(session)
    yield from people_checking.problems(session)
    yield from alliance_checking.problems(session)
    yield from oauth_checking.problems(session)
    yield from identity_checking.problems(session)
    yield from lost_rows(session, "organisation:registered", Organisation.id)
    yield from lost_rows(session, "person:joined", Person.id)
    yield from lost_rows(session, "client:created", Client.id)
    yield from lost_rows(session, "key:registered", SigningKey.id)


def _organisation_problems(session: Session) -> Iterator[str]:
    rows = select(Organisation).order_by(col(Organisation.id))
    for organisation, tale in with_tales(session, rows, ORGANISATION_LEAVES, lambda row: row.id):
        name = f"organisation {organisation.id}"
        if not tale.has("organisation:registered", organisation.created_at):
            yield f"A1: {name} was registered without a leaf"
            continue
        held = tale.last("organisation:suspended", "organisation:resumed")
        suspended = held if held is not None and held.kind.endswith("suspended") else None
        if organisation.suspended_at != (suspended.at if suspended else None):
            yield f"A1: {name} is not suspended as the log says"
        state, until = _verified(tale)
        if organisation.verification_state is not state:
            is_now = organisation.verification_state.value
            yield f"A1: {name} is {is_now}, the log says {state.value}"
        elif organisation.verified_until != until:
            yield f"A1: {name} is not verified until the day that the log says"


def _verified(tale: Tale) -> tuple[VerificationState, datetime | None]:
    """How far the leaves have brought an organisation's verification, and until when it holds."""
    state, until = VerificationState.NONE, None
    for told in tale.told:
        if told.kind == REQUESTED:
            # A renewal that was asked for in time leaves the verification as it is.
            if state is not VerificationState.VERIFIED or (until is not None and told.at >= until):
                state, until = VerificationState.PENDING, None
        elif told.kind == "organisation:expired":
            state = VerificationState.EXPIRED
        elif told.kind in VERIFYING:
            state = VerificationState[told.kind.partition(":")[2].upper()]
            valid_until = told.facts["valid_until"]
            until = None if valid_until is None else from_rfc3339(valid_until)
    return state, until


def _verification_problems(session: Session) -> Iterator[str]:
    rows = select(Verification).order_by(
        col(Verification.organisation_id), col(Verification.number)
    )
    for review, tale in with_tales(session, rows, VERIFYING, lambda row: row.organisation_id):
        name = f"verification {review.number} of {review.organisation_id}"
        papers = [document["sha256"] for document in review.documents]
        if not tale.has(REQUESTED, review.requested_at, number=review.number, documents=papers):
            yield f"A1: {name} was asked for without a leaf"
        elif review.decision is not None and not tale.has(
            f"organisation:{review.decision.value}",
            review.decided_at,
            number=review.number,
            reason=review.reason,
            valid_until=None if review.valid_until is None else rfc3339(review.valid_until),
        ):
            yield f"A1: {name} was decided without a leaf"
        elif review.decision is None and any(
            told.kind != REQUESTED and told.facts.get("number") == review.number
            for told in tale.told
        ):
            yield f"A1: {name} was decided, but does not say so"


def _person_problems(session: Session) -> Iterator[str]:
    rows = select(Person).order_by(col(Person.id))
    for person, tale in with_tales(session, rows, PERSON_LEAVES, lambda row: row.id):
        name = f"person {person.id}"
        if not tale.has("person:joined", person.joined_at):
            yield f"A1: {name} joined without a leaf"
            continue
        given = tale.last("person:joined", "person:role_changed")
        removed = tale.last("person:removed")
        assert given is not None, "the joining was told"
        if (person.role.value, person.role_changed_at) != (given.facts["role"], given.at):
            yield f"A1: {name} is {person.role.value}, the log says {given.facts['role']}"
        elif person.removed_at != (removed.at if removed else None):
            yield f"A1: {name} was not removed as the log says"


def _client_problems(session: Session) -> Iterator[str]:
    rows = select(Client).order_by(col(Client.id))
    kinds = ("client:created", "client:revoked")
    for client, tale in with_tales(session, rows, kinds, lambda row: row.id):
        name = f"client {client.id}"
        if not tale.has(
            "client:created",
            client.created_at,
            scopes=client.scopes,
            roles=client.roles,
            auth_method=client.auth_method.value,
            redirect_uris=client.redirect_uris,
            grant_types=client.grant_types,
            jwks=client.jwks,
        ):
            yield f"A1: {name} has no leaf that gives it what it may do"
            continue
        revoked = tale.last("client:revoked")
        if client.revoked_at != (revoked.at if revoked else None):
            yield f"A1: {name} was not revoked as the log says"


def _key_problems(session: Session) -> Iterator[str]:
    rows = select(SigningKey).order_by(col(SigningKey.id))
    kinds = ("key:registered", "key:revoked")
    for key, tale in with_tales(session, rows, kinds, lambda row: row.id):
        if not tale.has(
            "key:registered", key.registered_at, thumbprint=key.thumbprint, jwk=key.jwk
        ):
            yield f"A1: key {key.id} was registered without a leaf"
            continue
        revoked = tale.last("key:revoked")
        if key.revoked_at != (revoked.at if revoked else None):
            yield f"A1: key {key.id} was not revoked as the log says"
