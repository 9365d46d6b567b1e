"""Cookies of the sign-in pages, and form tokens that only the page itself can know.

With TLS they are `__Host-` cookies: no other host or path can set them.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from litestar.datastructures import Cookie

from app.accounts.oauth.signing_in import SESSION_LIFE
from app.kernel.canonical import sha256_hex


@dataclass(frozen=True)
class Cookies:
    """The two cookies of an installation: `session` says who is signed in, `form` who asks."""

    secure: bool

    @property
    def session_name(self) -> str:
        """What the session's cookie is called."""
        return self._name("zhigu_session")

    @property
    def form_name(self) -> str:
        """What the cookie is called that a sign-in form is bound to."""
        return self._name("zhigu_form")

    def session(self, value: str) -> Cookie:
        """The cookie of a session that has begun."""
        return self._cookie(self.session_name, value, int(SESSION_LIFE.total_seconds()))

    def session_over(self) -> Cookie:
        """The cookie of a session that has ended."""
        return self._cookie(self.session_name, "", 0)

    def form(self, value: str) -> Cookie:
        """The cookie of somebody who is about to sign in."""
        return self._cookie(self.form_name, value, None)

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def _cookie(self, name: str, value: str, max_age_s: int | None) -> Cookie:
        return Cookie(
            key=name,
            value=value,
            path="/",
            max_age=max_age_s,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )


def new_cookie_value() -> str:
    """A value that nobody can guess."""
    return secrets.token_urlsafe(32)


def form_token(cookie: str, purpose: str) -> str:
    """What a form for `purpose` carries: it fits the cookie, and does not tell it."""
    return sha256_hex(f"zhigu-form:{purpose}:{cookie}".encode())


def form_token_fits(cookie: str | None, purpose: str, sent: str) -> bool:
    """Whether a form comes from a page that this cookie's browser was shown."""
    if not cookie:
        return False
    return hmac.compare_digest(form_token(cookie, purpose).encode(), sent.encode())
