"""What the server says of itself (RFC 8414): exactly what is true."""

from __future__ import annotations

from typing import Any

from app.accounts.client_keys import CLIENT_ALGORITHMS
from app.accounts.scopes import PERSONAL_SCOPES, SCOPES
from app.accounts.states import AuthMethod, GrantType
from app.kernel.jwk import ALGORITHM, PublicKey

CONFIDENTIAL = [AuthMethod.PRIVATE_KEY_JWT.value, AuthMethod.SECRET_BASIC.value]
AUTH_METHODS = [*CONFIDENTIAL, AuthMethod.NONE.value]


def server_metadata(issuer: str) -> dict[str, Any]:
    """The metadata document of the authorization server at `issuer`."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "service_documentation": f"{issuer}/docs",
        "scopes_supported": [*PERSONAL_SCOPES, *SCOPES],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [one.value for one in GrantType],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": CLIENT_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": CLIENT_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,
        "introspection_endpoint_auth_signing_alg_values_supported": CLIENT_ALGORITHMS,
        "registration_endpoint": f"{issuer}/oauth/register",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["zh-CN", "en"],
    }


def key_document(keys: dict[str, PublicKey]) -> dict[str, Any]:
    """The public keys as a JWK set (RFC 7517 §5)."""
    return {
        "keys": [
            {**key.jwk, "kid": kid, "alg": ALGORITHM, "use": "sig"}
            for kid, key in sorted(keys.items())
        ]
    }
