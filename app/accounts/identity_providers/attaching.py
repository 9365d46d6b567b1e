"""Attaching: an organisation names its identity provider, and the domains that lead to it.

A provider is asked what it publishes before anything is written; so its issuer is known to be one.
Another issuer is another provider: nobody whom the one before knew is known to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.jwk import ECKey
from sqlmodel import Session, col, select

from app.accounts.claiming import claim
from app.accounts.identity_providers.discovering import Discovered
from app.accounts.identity_providers.errors import IdentityProviderMalformed, MailDomainTaken
from app.accounts.identity_providers.mapping import RoleMapping
from app.accounts.identity_providers.models import IdentityProvider, KnownIdentity, MailDomain
from app.accounts.identity_providers.queries import (
    attached_provider,
    domains_of,
    newest_provider,
)
from app.accounts.identity_providers.states import ProviderAuth
from app.accounts.joining import check_role
from app.accounts.models import Person
from app.accounts.people.ending import end_everything
from app.accounts.queries import access_managed_organisation
from app.accounts.roles import Role
from app.audit.recording import record
from app.db.installation import Installation, installation_of
from app.db.session import actor_of, now
from app.kernel.actor import Actor
from app.kernel.canonical import canonical
from app.kernel.ids import new_id
from app.kernel.refusals import RowNotFound

ASSERTION_ALGORITHM = "ES256"


@dataclass(frozen=True, kw_only=True, repr=False)
class ProviderWish:
    """What an organisation says of its provider; `secret` is in the clear, None: as before."""

    issuer: str
    client_id: str
    auth_method: ProviderAuth
    secret: str | None
    domains: Sequence[str]
    mapping: RoleMapping
    password_allowed: bool


def check_attaching(
    installation: Installation, actor: Actor, organisation_id: str, wish: ProviderWish
) -> None:
    """Refuse before the provider is asked anything; in a short transaction of its own."""
    with installation.transaction(actor, writes=False) as session:
        access_managed_organisation(session, organisation_id, lock=False)
        _check_wish(session, organisation_id, wish)


def attach_provider(
    session: Session, organisation_id: str, wish: ProviderWish, discovered: Discovered
) -> IdentityProvider:
    """Attach the provider, or change how the attached one of this issuer is used.

    Refuses with `IdentityProviderMalformed`, `MailDomainTaken`, and what the actor may not give.
    """
    access_managed_organisation(session, organisation_id)
    _check_wish(session, organisation_id, wish)
    present = attached_provider(session, organisation_id, lock=True)
    if present is not None and present.issuer != wish.issuer:
        _detach(session, present)
        session.flush()
        present = None
    provider = present or _new_provider(session, organisation_id, wish)
    _set_credential(session, provider, wish)
    provider.client_id, provider.auth_method = wish.client_id, wish.auth_method
    provider.role_claim, provider.default_role = wish.mapping.claim, wish.mapping.default
    provider.roles = [{"value": value, "role": role.value} for value, role in wish.mapping.roles]
    provider.password_allowed = wish.password_allowed
    provider.announced = msgspec.to_builtins(discovered.announced)
    provider.signing_keys = discovered.signing_keys
    provider.announced_at = provider.keys_at = now(session)
    session.add(provider)
    session.flush()
    _set_domains(session, provider, wish.domains)
    kind = "identity_provider:attached" if present is None else "identity_provider:changed"
    _record(session, kind, provider, **told_of(provider))
    return provider


def detach_provider(session: Session, organisation_id: str) -> IdentityProvider:
    """Nobody comes by the provider any more, and whoever did is signed out. Repeat is safe."""
    access_managed_organisation(session, organisation_id)
    present = attached_provider(session, organisation_id, lock=True)
    if present is None:
        return newest_provider(session, organisation_id)
    _detach(session, present)
    for row in domains_of(session, organisation_id):
        _release(session, row)
    return present


def confirm_domain(
    session: Session, organisation_id: str, domain: str, evidence: str
) -> IdentityProvider:
    """Let the domain lead to the organisation's provider: its proof was seen. Repeat is safe.

    Refuses with `RowNotFound` or `MailDomainTaken`.
    """
    provider = attached_provider(session, organisation_id, lock=True)
    row = session.get(
        MailDomain, (organisation_id, domain), with_for_update=True, populate_existing=True
    )
    if provider is None or row is None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    if row.confirmed_at is None:
        row.confirmed_at, row.confirmed_by = now(session), actor_of(session).id
        claim(session, row, MailDomainTaken("This domain was confirmed for another organisation."))
        told = {"domain": domain, "proof": row.proof, "evidence": evidence}
        _record_of_domain(session, "confirmed", organisation_id, **told)
    return provider


def told_of(provider: IdentityProvider) -> dict[str, Any]:
    """What the log says of a provider when it is attached or changed."""
    return {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "auth_method": provider.auth_method.value,
        "role_claim": provider.role_claim,
        "roles": provider.roles,
        "default_role": None
        if provider.default_role is None
        else Role(provider.default_role).value,
        "password_allowed": provider.password_allowed,
    }


def seal_purpose(provider_id: str) -> str:
    """What a provider's credential is sealed for."""
    return f"identity-provider:{provider_id}"


def _check_wish(session: Session, organisation_id: str, wish: ProviderWish) -> None:
    for role in sorted(wish.mapping.given):
        check_role(session, organisation_id, role)
    if (wish.mapping.claim is None) != (not wish.mapping.roles):
        raise IdentityProviderMalformed(
            "A claim and what its values mean go together.", path=".role_claim"
        )
    keyed = wish.auth_method is ProviderAuth.PRIVATE_KEY
    present = attached_provider(session, organisation_id)
    is_same = (
        present is not None
        and present.issuer == wish.issuer
        and (present.auth_method is ProviderAuth.PRIVATE_KEY) == keyed
    )
    if keyed and wish.secret is not None:
        raise IdentityProviderMalformed(
            "With private_key_jwt there is no secret: register our public key there.",
            path=".client_secret",
        )
    if not keyed and wish.secret is None and not is_same:
        raise IdentityProviderMalformed("The client's secret is missing.", path=".client_secret")


def _new_provider(session: Session, organisation_id: str, wish: ProviderWish) -> IdentityProvider:
    return IdentityProvider(
        id=new_id("idp"),
        organisation_id=organisation_id,
        issuer=wish.issuer,
        sealed_credential="",
        client_jwk=None,
        attached_at=now(session),
        attached_by=actor_of(session).id,
        detached_at=None,
        detached_by=None,
    )


def _set_credential(session: Session, provider: IdentityProvider, wish: ProviderWish) -> None:
    keys, purpose = installation_of(session).keys, seal_purpose(provider.id)
    if wish.secret is not None:
        provider.sealed_credential = keys.seal(wish.secret.encode(), purpose)
        provider.client_jwk = None
    elif wish.auth_method is ProviderAuth.PRIVATE_KEY and provider.client_jwk is None:
        key = ECKey.generate_key("P-256")
        names = {"kid": key.thumbprint(), "alg": ASSERTION_ALGORITHM, "use": "sig"}
        private = canonical({**key.as_dict(private=True), **names})
        provider.sealed_credential = keys.seal(private, purpose)
        provider.client_jwk = {**key.as_dict(private=False), **names}


def _set_domains(session: Session, provider: IdentityProvider, wanted: Sequence[str]) -> None:
    present = {row.domain: row for row in domains_of(session, provider.organisation_id)}
    for domain in sorted(set(present) - set(wanted)):
        _release(session, present[domain])
    for domain in sorted(set(wanted) - set(present)):
        row = MailDomain(
            organisation_id=provider.organisation_id,
            domain=domain,
            proof=secrets.token_urlsafe(32),
            claimed_at=now(session),
            confirmed_at=None,
            confirmed_by=None,
        )
        session.add(row)
        _record_of_domain(session, "claimed", row.organisation_id, domain=domain)


def _release(session: Session, row: MailDomain) -> None:
    session.delete(row)
    _record_of_domain(session, "released", row.organisation_id, domain=row.domain)


def _detach(session: Session, provider: IdentityProvider) -> None:
    provider.detached_at, provider.detached_by = now(session), actor_of(session).id
    # Each person is held while what they gave is ended, as it is given.
    known = session.exec(
        select(Person)
        .join(KnownIdentity, col(KnownIdentity.person_id) == Person.id)
        .where(KnownIdentity.identity_provider_id == provider.id)
        .order_by(col(Person.id))
        .with_for_update(of=Person)
    )
    for person in known.all():
        end_everything(session, person.id)
    _record(session, "identity_provider:detached", provider)


def _record(session: Session, kind: str, provider: IdentityProvider, **facts: Any) -> None:
    record(session, kind, provider.id, organisations=(provider.organisation_id,), **facts)


def _record_of_domain(session: Session, what: str, organisation_id: str, **facts: Any) -> None:
    kind = f"organisation:domain_{what}"
    record(session, kind, organisation_id, organisations=(organisation_id,), **facts)
