"""Routes that a person's browser calls on its way to their company's sign-in and back."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.identity_providers.arriving import admit, identify, take_visit
from app.accounts.identity_providers.errors import ArrivalRefused, IdentityProviderAway
from app.accounts.identity_providers.leaving import CALLBACK_PATH, begin_visit, find_provider
from app.accounts.identity_providers.models import IdentityProvider
from app.accounts.oauth.cookies import form_token, form_token_fits, new_cookie_value
from app.accounts.oauth.limiting import TooManyTries
from app.accounts.oauth.pages import place_of, render_page
from app.accounts.oauth.parameters import Parameters, ParametersUnreadable, read_parameters
from app.accounts.oauth.signing_in import PageStale
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
from app.accounts.oauth.wording import WORDS, choose_language, say_wait
from app.db.installation import Installation
from app.http.request_state import state_of
from app.kernel.actor import ANONYMOUS
from app.kernel.refusals import Outage, Refusal

OWN_RULES = {"own_authentication": True, "own_query": True, "exempt_from_idempotency": True}
PURPOSE = "company"


@get("/oauth/company", sync_to_thread=True, opt=OWN_RULES, include_in_schema=False)
def get_company(
    request: AnyRequest,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """The page that asks for a work email: its domain says which company's sign-in it is."""
    visit = visit_of(request, session, installation)
    return visit if isinstance(visit, Response) else _email_page(visit)


@post("/oauth/company", sync_to_thread=True, opt=OWN_RULES, dto=None, include_in_schema=False)
def post_company(
    request: AnyRequest,
    body: RawBody,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """On to the sign-in of the company whose domain this is, whoever has the address."""
    form = read_form(request, body)
    # Before `session` locks the store: the provider may be asked something.
    found = _find(request, installation, form)
    visit = visit_of(request, session, installation)
    if isinstance(visit, Response):
        return visit
    email = form.get("email")
    if not isinstance(found, IdentityProvider):
        return _email_page(visit, email, found, missing=found is None)
    cookie = visit.cookie(visit.cookies.form_name) or ""
    where = begin_visit(session, found, cookie, visit.query, email)
    # No redirect: it would be held against the form's policy, which cannot know where it leads.
    page = render_page("company_going", visit.language, {"where": where, "place": place_of(where)})
    page.headers["Refresh"] = f"0; url={where}"
    return page


@get(
    CALLBACK_PATH,
    sync_to_thread=True,
    opt={**OWN_RULES, "no_transaction": True},
    include_in_schema=False,
)
def get_company_callback(request: AnyRequest, installation: NamedDependency[Installation]) -> Page:
    """Back from the company's sign-in, and on to the page that asked for it, signed in."""
    cookies, address = cookies_of(installation), visitor_address(request, installation)
    cookie, query = request.cookies.get(cookies.form_name) or "", ""
    try:
        answer = read_parameters(request.scope["query_string"]).values
        provider, visit = take_visit(installation, answer, cookie)
        query = visit.query
        arrival = identify(installation, provider, answer, cookie)
        with installation.transaction(ANONYMOUS) as session:
            value = admit(session, arrival, address)
    except ParametersUnreadable:
        return _failed(request, "company_stale", query, status=400)
    except ArrivalRefused as refusal:
        return _failed(request, refusal.why.value, query, status=refusal.status)
    except IdentityProviderAway as outage:
        return _away(request, query, outage)
    return go_to(f"/oauth/authorize?{query}", cookies.session(value))


def _find(
    request: AnyRequest, installation: Installation, form: Parameters
) -> IdentityProvider | Refusal | None:
    bound_to = request.cookies.get(cookies_of(installation).form_name)
    if not form_token_fits(bound_to, PURPOSE, form.get("form_token")):
        return PageStale("The page had expired.")
    try:
        return find_provider(
            installation, form.get("email"), visitor_address(request, installation)
        )
    except TooManyTries as refusal:
        return refusal


def _email_page(
    visit: Visit, email: str = "", refusal: Refusal | None = None, *, missing: bool = False
) -> Page:
    words, alert, status = WORDS[visit.language], "", 200
    if missing:
        alert, status = words["company_unknown"], 422
    elif refusal is not None:
        alert, status = words["stale"], refusal.status
    if isinstance(refusal, TooManyTries):
        alert = words["too_many"].format(wait=say_wait(visit.language, refusal.wait_s))
    value = visit.cookie(visit.cookies.form_name) or new_cookie_value()
    page = render_page(
        "company",
        visit.language,
        {
            "query": visit.query,
            "form_token": form_token(value, PURPOSE),
            "email": email,
            "alert": alert,
        },
        status=status,
        returns_to=visit.redirect_uri,
        cookies=(visit.cookies.form(value),),
    )
    page.headers.update(refusal.headers if refusal else {})
    return page


def _failed(request: AnyRequest, alert: str, query: str, *, status: int) -> Page:
    language = choose_language(request.headers.get("accept-language"))
    facts: dict[str, object] = {
        "alert": WORDS[language][alert],
        "query": query,
        "request_id": state_of(request.scope).request_id,
    }
    return render_page("company_failed", language, facts, status=status)


def _away(request: AnyRequest, query: str, outage: Outage) -> Page:
    page = _failed(request, "company_away", query, status=outage.status)
    page.headers["Retry-After"] = str(outage.retry_after_s)
    return page


COMPANY_ROUTES = (get_company, post_company, get_company_callback)
