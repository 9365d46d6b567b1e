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
from app.accounts.oauth.pages import place_of, render_page
from app.accounts.oauth.parameters import Parameters
from app.accounts.oauth.signing_in import (
    SignInRefused,
    TooManyTries,
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
from app.accounts.oauth.wording import WORDS
from app.accounts.queries import load_organisation
from app.db.installation import Installation

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
    cookies = cookies_of(installation)
    email, alert, status, person_id = form.get("email"), "", 303, None
    # Passwords first: hashing takes long, and `session` locks the store once it is used.
    bound_to = request.cookies.get(cookies.form_name)
    if not form_token_fits(bound_to, "sign-in", form.get("form_token")):
        alert, status = "stale", 422
    else:
        try:
            person_id = check_sign_in(installation, email, form.get("password"))
        except SignInRefused as refusal:
            alert, status = "refused", refusal.status
        except TooManyTries as refusal:
            alert, status = "too_many", refusal.status
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    if person_id is None:
        return _sign_in_page(visit, email=email, alert=alert, status=status)
    value = start_session(session, person_id)
    return go_to(f"/oauth/authorize?{visit.query}", cookies.session(value))


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
    person = visit.person()
    if person is None or not _is_ours(visit, form):
        return go_to(f"/oauth/authorize?{visit.query}")
    if not _may_agree(visit, person):
        return _denied(visit)
    agreed = person if form.get("decision") == "allow" else None
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


def _sign_in_page(visit: Visit, *, email: str = "", alert: str = "", status: int = 200) -> Page:
    value = visit.cookie(visit.cookies.form_name) or new_cookie_value()
    return render_page(
        "sign_in",
        visit.language,
        {
            "client_name": visit.client.row.name,
            "query": visit.query,
            "form_token": form_token(value, "sign-in"),
            "email": email,
            "alert": WORDS[visit.language][alert] if alert else "",
        },
        status=status,
        returns_to=visit.redirect_uri,
        cookies=(visit.cookies.form(value),),
    )


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
