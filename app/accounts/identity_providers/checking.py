"""Do identity providers say what the log says of them? Invariant A1, read-only.

A domain that leads elsewhere, a role that a claim gives, or a subject that was swapped would let
somebody in as somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.accounts.identity_providers.attaching import told_of
from app.accounts.identity_providers.models import IdentityProvider, KnownIdentity, MailDomain
from app.audit.told import lost_rows, with_tales
from app.kernel.canonical import sha256_hex

KEPT = ("identity_provider:attached", "identity_provider:changed")
LEAVES = (*KEPT, "identity_provider:detached")
DOMAIN_LEAVES = ("organisation:domain_claimed", "organisation:domain_confirmed")


def problems(session: Session) -> Iterator[str]:
    """Providers, domains and identities that the log tells otherwise of."""
    yield from _provider_problems(session)
    yield from _domain_problems(session)
    yield from _identity_problems(session)
    yield from lost_rows(session, "identity_provider:attached", IdentityProvider.id)


def _provider_problems(session: Session) -> Iterator[str]:
    rows = select(IdentityProvider).order_by(col(IdentityProvider.id))
    for provider, tale in with_tales(session, rows, LEAVES, lambda row: row.id):
        name = f"identity provider {provider.id}"
        told, detached = tale.last(*KEPT), tale.last("identity_provider:detached")
        if told is None or not tale.has("identity_provider:attached", provider.attached_at):
            yield f"A1: {name} was attached without a leaf"
        elif dict(told.facts) != told_of(provider):
            yield f"A1: {name} is not as the log says"
        elif provider.detached_at != (detached.at if detached else None):
            yield f"A1: {name} was not detached as the log says"


def _domain_problems(session: Session) -> Iterator[str]:
    rows = select(MailDomain).order_by(col(MailDomain.organisation_id), col(MailDomain.domain))
    for row, tale in with_tales(session, rows, DOMAIN_LEAVES, lambda one: one.organisation_id):
        name = f"domain {row.domain} of {row.organisation_id}"
        if not tale.has("organisation:domain_claimed", row.claimed_at, domain=row.domain):
            yield f"A1: {name} was claimed without a leaf"
        elif row.confirmed_at is not None and not tale.has(
            "organisation:domain_confirmed", row.confirmed_at, domain=row.domain, proof=row.proof
        ):
            yield f"A1: {name} was confirmed without a leaf"


def _identity_problems(session: Session) -> Iterator[str]:
    rows = select(KnownIdentity).order_by(
        col(KnownIdentity.identity_provider_id), col(KnownIdentity.subject)
    )
    kinds = ("person:identity_bound",)
    for row, tale in with_tales(session, rows, kinds, lambda one: one.person_id):
        if not tale.has(
            "person:identity_bound",
            row.bound_at,
            identity_provider=row.identity_provider_id,
            subject_sha256=sha256_hex(row.subject.encode()),
        ):
            yield f"A1: person {row.person_id} was bound to an identity without a leaf"
