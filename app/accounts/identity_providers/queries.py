"""Questions about identity providers, and which of them an actor may have."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col, select

from app.accounts.identity_providers.mapping import RoleMapping, mail_domain_of
from app.accounts.identity_providers.models import IdentityProvider, MailDomain
from app.accounts.models import Organisation, Person
from app.accounts.queries import access_organisation
from app.accounts.roles import Role
from app.kernel.refusals import RowNotFound


def attached_provider(
    session: Session, organisation_id: str, *, lock: bool = False
) -> IdentityProvider | None:
    """The provider that the organisation has attached."""
    statement = select(IdentityProvider).where(
        IdentityProvider.organisation_id == organisation_id,
        col(IdentityProvider.detached_at).is_(None),
    )
    return session.exec(statement.with_for_update() if lock else statement).one_or_none()


def access_provider(session: Session, organisation_id: str) -> IdentityProvider:
    """The organisation's provider, attached or the one before; else `RowNotFound`."""
    access_organisation(session, organisation_id)
    return newest_provider(session, organisation_id)


def newest_provider(session: Session, organisation_id: str) -> IdentityProvider:
    """The provider that the organisation attached last; `RowNotFound` if it never did."""
    found = session.exec(
        select(IdentityProvider)
        .where(IdentityProvider.organisation_id == organisation_id)
        .order_by(col(IdentityProvider.id).desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    return found


def domains_of(session: Session, organisation_id: str) -> list[MailDomain]:
    """The domains that the organisation claims, by name."""
    rows = session.exec(
        select(MailDomain)
        .where(MailDomain.organisation_id == organisation_id)
        .order_by(col(MailDomain.domain))
    )
    return list(rows.all())


def provider_for(session: Session, email: str) -> IdentityProvider | None:
    """Where people with an address of this domain sign in; whether anybody has it, is not asked."""
    return session.exec(
        select(IdentityProvider)
        .join(MailDomain, col(MailDomain.organisation_id) == IdentityProvider.organisation_id)
        .join(Organisation, col(Organisation.id) == IdentityProvider.organisation_id)
        .where(
            MailDomain.domain == mail_domain_of(email),
            col(MailDomain.confirmed_at).is_not(None),
            col(IdentityProvider.detached_at).is_(None),
            col(Organisation.suspended_at).is_(None),
        )
    ).one_or_none()


def is_confirmed(session: Session, organisation_id: str, domain: str) -> bool:
    """Whether the domain was confirmed for this organisation."""
    row = session.get(MailDomain, (organisation_id, domain))
    return row is not None and row.confirmed_at is not None


def may_use_password() -> ColumnElement[bool]:
    """Of a person: that their organisation lets them sign in by password.

    One that does not must have another way in: an attached provider, and a domain that leads to it.
    """
    closed = (
        sa.select(sa.literal(1))
        .select_from(IdentityProvider)
        .join(MailDomain, col(MailDomain.organisation_id) == IdentityProvider.organisation_id)
        .where(
            col(IdentityProvider.organisation_id) == col(Person.organisation_id),
            col(IdentityProvider.detached_at).is_(None),
            sa.not_(col(IdentityProvider.password_allowed)),
            col(MailDomain.confirmed_at).is_not(None),
        )
    )
    return sa.not_(closed.exists())


def mapping_of(provider: IdentityProvider) -> RoleMapping:
    """How the provider's claims become roles."""
    pairs = [(pair["value"], Role(pair["role"])) for pair in provider.roles]
    return RoleMapping(provider.role_claim, pairs, provider.default_role)
