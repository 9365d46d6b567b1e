"""How an identity provider becomes an answer."""

from __future__ import annotations

from sqlmodel import Session

from app.accounts.identity_providers.leaving import callback_url
from app.accounts.identity_providers.models import IdentityProvider, MailDomain
from app.accounts.identity_providers.queries import domains_of, mapping_of
from app.accounts.identity_providers.schemas import (
    IdentityProviderView,
    MailDomainView,
    MappedRole,
)
from app.accounts.identity_providers.states import DomainState, ProviderState
from app.db.installation import installation_of


def identity_provider_view(session: Session, provider: IdentityProvider) -> IdentityProviderView:
    """The provider as its organisation sees it; its domains while it is attached."""
    is_attached = provider.detached_at is None
    domains = domains_of(session, provider.organisation_id) if is_attached else []
    return IdentityProviderView(
        id=provider.id,
        organisation_id=provider.organisation_id,
        state=ProviderState.ATTACHED if is_attached else ProviderState.DETACHED,
        issuer=provider.issuer,
        client_id=provider.client_id,
        auth_method=provider.auth_method,
        client_jwk=provider.client_jwk,
        redirect_uri=callback_url(installation_of(session)),
        domains=[_domain_view(row) for row in domains],
        role_claim=provider.role_claim,
        roles=[MappedRole(value=value, role=role) for value, role in mapping_of(provider).roles],
        default_role=provider.default_role,
        password_allowed=provider.password_allowed,
        attached_at=provider.attached_at,
        detached_at=provider.detached_at,
    )


def _domain_view(row: MailDomain) -> MailDomainView:
    return MailDomainView(
        domain=row.domain,
        state=DomainState.CLAIMED if row.confirmed_at is None else DomainState.CONFIRMED,
        proof=f"zhigu-domain={row.proof}",
    )
