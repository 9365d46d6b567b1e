"""Routes of the authorization server."""

from __future__ import annotations

OAUTH_ROUTES = ()
