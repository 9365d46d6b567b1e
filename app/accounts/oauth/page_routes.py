"""Routes that a person's browser calls: sign-in, consent, sign-out.

The request of the client travels in the query from page to page and is judged anew each time, so
nothing between the pages can be swapped, and no page leads anywhere but to a registered address.
"""

from __future__ import annotations

from authlib.oauth2.rfc6749 import AccessDeniedError
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.models import Person
from app.accounts.oauth.codes import allowed_scopes, may_serve
from app.accounts.oauth.cookies import form_token, form_token_fits, new_cookie_value
from app.accounts.oauth.limiting import TooManyTries
from app.accounts.oauth.pages import place_of, render_page
from app.accounts.oauth.parameters import Parameters
from app.accounts.oauth.signing_in import (
    PageStale,
    ProvenSignIn,
    SignInRefused,
    check_sign_in,
    end_session,
    start_session,
)
from app.accounts.oauth.visiting import (
    AnyRequest,
    Page,
    Visit,
    cookies_of,
    go_to,
    read_form,
    visit_of,
)
from app.accounts.oauth.visitor_addresses import visitor_address
from app.accounts.oauth.wording import WORDS, Language, say_wait
from app.accounts.queries import load_organisation
from app.db.installation import Installation
from app.kernel.refusals import Refusal

OWN_RULES = {"own_authentication": True, "own_query": True, "exempt_from_idempotency": True}


@get("/oauth/authorize", sync_to_thread=True, opt=OWN_RULES, include_in_schema=False)
def get_authorize(
    request: AnyRequest,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """The page on which a person signs in or, once they have, agrees."""
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    person = visit.person()
    return _sign_in_page(visit) if person is None else _consent_page(visit, person)


@post("/oauth/sign-in", sync_to_thread=True, opt=OWN_RULES, dto=None, include_in_schema=False)
def post_sign_in(
    request: AnyRequest,
    body: RawBody,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """Sign in, and back to the page that asked for it; or the same form again, with a reason."""
    form = read_form(request, body)
    # Passwords first: hashing takes long, and `session` locks the store once it is used.
    tried = _try_to_sign_in(request, installation, form)
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    if isinstance(tried, Refusal):
        return _sign_in_page(visit, email=form.get("email"), refusal=tried)
    try:
        value = start_session(session, tried, visitor_address(request, installation))
    except SignInRefused as refusal:
        return _sign_in_page(visit, email=form.get("email"), refusal=refusal)
    return go_to(f"/oauth/authorize?{visit.query}", visit.cookies.session(value))


@post("/oauth/authorize", sync_to_thread=True, opt=OWN_RULES, dto=None, include_in_schema=False)
def post_authorize(
    request: AnyRequest,
    body: RawBody,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """Give the client a code, or tell it that the person refused."""
    form = read_form(request, body)
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    person = visit.held_person()
    if person is None or not _is_ours(visit, form):
        return go_to(f"/oauth/authorize?{visit.query}")
    if not _may_agree(visit, person):
        return _denied(visit)
    agreed = visit.signed_in() if form.get("decision") == "allow" else None
    answer = visit.server.create_authorization_response(
        visit.grant.request, grant_user=agreed, grant=visit.grant
    )
    return go_to(answer.location)


@post("/oauth/sign-out", sync_to_thread=True, opt=OWN_RULES, dto=None, include_in_schema=False)
def post_sign_out(
    request: AnyRequest,
    body: RawBody,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """End the browser's session, and back to the sign-in page."""
    form = read_form(request, body)
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    back = f"/oauth/authorize?{visit.query}"
    if not _is_ours(visit, form):
        return go_to(back)
    end_session(session, visit.cookie(visit.cookies.session_name))
    return go_to(back, visit.cookies.session_over())


def _try_to_sign_in(
    request: AnyRequest, installation: Installation, form: Parameters
) -> ProvenSignIn | Refusal:
    """Who has signed in, or why nobody has."""
    bound_to = request.cookies.get(cookies_of(installation).form_name)
    if not form_token_fits(bound_to, "sign-in", form.get("form_token")):
        return PageStale("The page had expired.")
    address = visitor_address(request, installation)
    try:
        return check_sign_in(installation, form.get("email"), form.get("password"), address)
    except (SignInRefused, TooManyTries) as refusal:
        return refusal


def _sign_in_page(visit: Visit, *, email: str = "", refusal: Refusal | None = None) -> Page:
    value = visit.cookie(visit.cookies.form_name) or new_cookie_value()
    page = render_page(
        "sign_in",
        visit.language,
        {
            "client_name": visit.client.row.name,
            "query": visit.query,
            "form_token": form_token(value, "sign-in"),
            "email": email,
            "alert": _say(visit.language, refusal) if refusal else "",
        },
        status=refusal.status if refusal else 200,
        returns_to=visit.redirect_uri,
        cookies=(visit.cookies.form(value),),
    )
    page.headers.update(refusal.headers if refusal else {})
    return page


def _say(language: Language, refusal: Refusal) -> str:
    words = WORDS[language]
    if isinstance(refusal, TooManyTries):
        return words["too_many"].format(wait=say_wait(language, refusal.wait_s))
    return words["refused" if isinstance(refusal, SignInRefused) else "stale"]


def _consent_page(visit: Visit, person: Person) -> Page:
    if not _may_agree(visit, person):
        return _denied(visit)
    asked = visit.grant.request.scope
    scopes = allowed_scopes(visit.client.row, person, asked)
    return render_page(
        "consent",
        visit.language,
        {
            "client_name": visit.client.row.name,
            "client_organisation": visit.client.organisation.name,
            "person_name": person.name,
            "person_organisation": load_organisation(visit.session, person.organisation_id).name,
            "return_to": place_of(visit.redirect_uri),
            "scopes": scopes,
            "withheld": [scope for scope in asked.split() if scope not in scopes],
            "query": visit.query,
            "form_token": _consent_token(visit),
        },
        returns_to=visit.redirect_uri,
    )


def _may_agree(visit: Visit, person: Person) -> bool:
    client = visit.client
    allowed = allowed_scopes(client.row, person, visit.grant.request.scope)
    return bool(allowed) and may_serve(client.organisation, person)


def _denied(visit: Visit) -> Page:
    error = AccessDeniedError(
        "This client or these scopes are not open to the person who signed in.",
        redirect_uri=visit.redirect_uri,
        state=visit.grant.request.payload.state,
    )
    return go_to(visit.server.refuse(visit.grant.request, error).location)


def _consent_token(visit: Visit) -> str:
    return form_token(visit.cookie(visit.cookies.session_name) or "", f"consent:{visit.query}")


def _is_ours(visit: Visit, form: Parameters) -> bool:
    cookie = visit.cookie(visit.cookies.session_name)
    return form_token_fits(cookie, f"consent:{visit.query}", form.get("form_token"))


PAGE_ROUTES = (get_authorize, post_sign_in, post_authorize, post_sign_out)
