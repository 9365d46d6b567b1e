"""Routes of the authorization server: what programs call, and what a person's browser does."""

from __future__ import annotations

from app.accounts.oauth.delegation_routes import DELEGATION_ROUTES
from app.accounts.oauth.page_routes import PAGE_ROUTES
from app.accounts.oauth.registration_routes import REGISTRATION_ROUTES
from app.accounts.oauth.token_routes import TOKEN_ROUTES

OAUTH_ROUTES = (*TOKEN_ROUTES, *REGISTRATION_ROUTES, *DELEGATION_ROUTES, *PAGE_ROUTES)
