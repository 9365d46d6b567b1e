"""Routes that a person's browser calls with a reset link: a form, and that it is done."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import RawBody
from sqlmodel import Session

from app.accounts.errors import PasswordTooWeak
from app.accounts.oauth.cookies import form_token, form_token_fits, new_cookie_value
from app.accounts.oauth.pages import render_page
from app.accounts.oauth.parameters import ParametersUnreadable, read_parameters
from app.accounts.oauth.visiting import AnyRequest, Page, cookies_of, read_form
from app.accounts.oauth.wording import WORDS, Language, choose_language
from app.accounts.passwords import MIN_CHARS
from app.accounts.people.errors import ResetNotGood
from app.accounts.people.resetting import finish_reset, prepare_reset
from app.db.installation import Installation
from app.kernel.refusals import Malformed

RESET_PATH = "/oauth/reset-password"
PURPOSE = "reset-password"
OWN_RULES = {"own_authentication": True, "own_query": True, "exempt_from_idempotency": True}


@get(
    RESET_PATH,
    sync_to_thread=True,
    opt={**OWN_RULES, "no_transaction": True},
    include_in_schema=False,
)
def get_reset_page(request: AnyRequest, installation: NamedDependency[Installation]) -> Page:
    """The form for a new password, whatever the token: only using it tells whether it is good."""
    try:
        token = read_parameters(request.scope["query_string"]).get("token")
    except ParametersUnreadable as error:
        raise Malformed(f"The query cannot be read: {error}.") from error
    return _form(request, installation, token)


@post(RESET_PATH, sync_to_thread=True, opt=OWN_RULES, dto=None, include_in_schema=False)
def post_reset_page(
    request: AnyRequest,
    body: RawBody,
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> Page:
    """Set the password; or the same form again, with a reason."""
    form = read_form(request, body)
    token = form.get("token")
    bound_to = request.cookies.get(cookies_of(installation).form_name)
    if not form_token_fits(bound_to, PURPOSE, form.get("form_token")):
        return _form(request, installation, token, "stale")
    if form.get("password") != form.get("again"):
        return _form(request, installation, token, "passwords_differ")
    try:
        # Hashed first: `session` locks the store once it is used.
        finish_reset(session, prepare_reset(installation, token, form.get("password")))
    except ResetNotGood:
        return _form(request, installation, token, "reset_not_good")
    except PasswordTooWeak:
        return _form(request, installation, token, "password_weak")
    return render_page("reset_done", _language(request), {})


def _form(request: AnyRequest, installation: Installation, token: str, alert: str = "") -> Page:
    cookies = cookies_of(installation)
    value = request.cookies.get(cookies.form_name) or new_cookie_value()
    words = WORDS[_language(request)]
    return render_page(
        "reset",
        _language(request),
        {
            "token": token,
            "form_token": form_token(value, PURPOSE),
            "alert": words[alert] if alert else "",
            "rule": words["reset_rule"].format(count=MIN_CHARS),
            "min_chars": MIN_CHARS,
        },
        status=422 if alert else 200,
        cookies=(cookies.form(value),),
    )


def _language(request: AnyRequest) -> Language:
    return choose_language(request.headers.get("accept-language"))
