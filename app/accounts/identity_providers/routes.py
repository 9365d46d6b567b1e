"""Routes: the identity provider of an organisation, and the domains that lead to it."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from app.accounts.errors import OperatorOnly, ScopeNotYoursToGive
from app.accounts.identity_providers.attaching import (
    attach_provider,
    check_attaching,
    confirm_domain,
    detach_provider,
)
from app.accounts.identity_providers.discovering import discover
from app.accounts.identity_providers.errors import (
    IdentityProviderAway,
    IdentityProviderMalformed,
    IdentityProviderRefused,
    MailDomainTaken,
)
from app.accounts.identity_providers.page_routes import COMPANY_ROUTES
from app.accounts.identity_providers.queries import access_provider
from app.accounts.identity_providers.schemas import (
    DomainEvidence,
    IdentityProviderView,
    IdentityProviderWish,
)
from app.accounts.identity_providers.views import identity_provider_view
from app.accounts.queries import access_organisation
from app.accounts.roles import Role, must_have_role
from app.accounts.scopes import ADMIN, ORGANISATIONS_READ, ORGANISATIONS_WRITE
from app.db.installation import Installation
from app.http.documented import OPTION, Documented
from app.http.guarding import needs
from app.kernel.actor import Actor
from app.kernel.addresses import AddressRefused

TAGS = ["Accounts"]
PATH = "/api/v1/organisations/{organisation_id:str}/identity-provider"
READ = [needs(ORGANISATIONS_READ, ADMIN)]
WRITE = [needs(ORGANISATIONS_WRITE, ADMIN)]
OF_ATTACHING = Documented(
    refuses=(
        IdentityProviderMalformed,
        IdentityProviderRefused,
        AddressRefused,
        OperatorOnly,
        ScopeNotYoursToGive,
        IdentityProviderAway,
    )
)


@put(PATH, sync_to_thread=True, guards=WRITE, opt={OPTION: OF_ATTACHING}, tags=TAGS)
def put_identity_provider(
    organisation_id: FromPath[str],
    data: JSONBody[IdentityProviderWish],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> IdentityProviderView:
    """Attach the OpenID provider where the organisation's people sign in, or change how.

    It is asked for its configuration and keys first, which must do. Another issuer takes the place
    of the one before, and whoever came by that one is signed out.
    """
    wish = data.wish()
    check_attaching(installation, actor, organisation_id, wish)
    # Before `session` begins: it waits for the provider.
    found = discover(installation.settings, wish.issuer, wish.auth_method.value)
    return identity_provider_view(session, attach_provider(session, organisation_id, wish, found))


@get(PATH, sync_to_thread=True, guards=READ, tags=TAGS)
def get_identity_provider(
    organisation_id: FromPath[str], session: NamedDependency[Session]
) -> IdentityProviderView:
    """The identity provider that the organisation attached last."""
    return identity_provider_view(session, access_provider(session, organisation_id))


@delete(PATH, sync_to_thread=True, guards=WRITE, status_code=200, tags=TAGS)
def delete_identity_provider(
    organisation_id: FromPath[str], session: NamedDependency[Session]
) -> IdentityProviderView:
    """Detach it: nobody comes by it any more, who did is signed out, and its domains are free."""
    return identity_provider_view(session, detach_provider(session, organisation_id))


@post(
    f"{PATH}/domains/{{domain:str}}/confirm",
    sync_to_thread=True,
    guards=[needs(ADMIN)],
    status_code=200,
    opt={OPTION: Documented(refuses=(MailDomainTaken,))},
    tags=TAGS,
)
def post_domain_confirm(
    organisation_id: FromPath[str],
    domain: FromPath[str],
    data: JSONBody[DomainEvidence],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
) -> IdentityProviderView:
    """Let a domain lead to the organisation's provider, once its proof was seen in its DNS.

    The administrator does; addresses of one domain belong to one organisation.
    """
    must_have_role(actor, Role.ADMIN)
    access_organisation(session, organisation_id, lock=True)
    return identity_provider_view(
        session, confirm_domain(session, organisation_id, domain, data.evidence)
    )


IDENTITY_PROVIDER_ROUTES = (
    put_identity_provider,
    get_identity_provider,
    delete_identity_provider,
    post_domain_confirm,
    *COMPANY_ROUTES,
)
