"""An identity provider as a row, for tests that need one there: nobody is asked anything."""

from __future__ import annotations

from app.accounts.identity_providers.announcements import Announcement
from app.accounts.identity_providers.attaching import ProviderWish, attach_provider
from app.accounts.identity_providers.discovering import Discovered
from app.accounts.identity_providers.mapping import RoleMapping
from app.accounts.identity_providers.states import ProviderAuth
from app.db.installation import Installation
from app.kernel.actor import Actor, ActorKind


def attach_identity_provider(installation: Installation, organisation_id: str, number: int) -> str:
    """Attach one to the organisation, as if it had been asked; a domain that is claimed with it."""
    domain = f"sale-{number}.example"
    wish = ProviderWish(
        issuer=f"https://login.{domain}",
        client_id="zhigu",
        auth_method=ProviderAuth.SECRET_BASIC,
        secret="hush-hush",
        domains=[domain],
        mapping=RoleMapping(None, (), None),
        password_allowed=True,
    )
    announced = Announcement(
        issuer=wish.issuer,
        authorization_endpoint=f"{wish.issuer}/authorize",
        token_endpoint=f"{wish.issuer}/token",
        jwks_uri=f"{wish.issuer}/keys",
        id_token_signing_alg_values_supported=["ES256"],
        response_types_supported=["code"],
    )
    actor = Actor(ActorKind.CLIENT, "cli_world", organisation_id)
    with installation.transaction(actor) as session:
        attach_provider(session, organisation_id, wish, Discovered(announced, {"keys": []}))
    return domain
