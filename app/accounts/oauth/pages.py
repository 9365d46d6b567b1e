"""Pages: sign-in, consent, and a plain one for requests that lead nowhere. No script, no assets."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie
from markupsafe import Markup

from app.accounts.oauth.wording import WORDS, Language

TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (TEMPLATES / "page.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_TITLES = {
    "sign_in": "sign_in_title",
    "consent": "consent_title",
    "failed": "failed_title",
    "reset": "reset_title",
    "reset_done": "reset_done_title",
    "company": "company_title",
    "company_going": "company_going_title",
    "company_failed": "company_failed_title",
}

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


def render_page(
    name: str,
    language: Language,
    facts: dict[str, object],
    *,
    status: int = 200,
    returns_to: str | None = None,
    cookies: tuple[Cookie, ...] = (),
) -> Response[str]:
    """The page `name`; a form on it may lead to `returns_to`, and nowhere else but here."""
    words = WORDS[language]
    html = _environment.get_template(f"{name}.html").render(
        facts,
        language=language,
        words=words,
        title=words[_TITLES[name]],
        style=Markup(_STYLE),  # noqa: S704 - our own file, without anything from outside
    )
    return Response(
        html,
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": _policy(returns_to),
            "Content-Language": language,
            "Vary": "Accept-Language, Cookie",
            "Cache-Control": "no-store",
        },
        cookies=list(cookies),
    )


def place_of(uri: str) -> str:
    """Where a redirect address leads, as a person can judge it: host and port, or the scheme."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}:"


def _policy(returns_to: str | None) -> str:
    # Chrome holds form-action against the redirect that answers a form, too.
    targets = "'self'"
    if returns_to is not None:
        parts = urlsplit(returns_to)
        # A policy cannot name an IPv6 address or an application's own place: the scheme must do.
        named = parts.netloc and "[" not in parts.netloc
        origin = f"{parts.scheme}://{parts.netloc}" if named else f"{parts.scheme}:"
        targets = f"'self' {origin}"
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
