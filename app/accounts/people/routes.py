"""Routes: one's own password, and the reset of a member's."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from app.accounts.errors import PasswordTooWeak
from app.accounts.oauth.limiting import TooManyTries
from app.accounts.oauth.visitor_addresses import visitor_address
from app.accounts.people.changing import change_password, prove_change
from app.accounts.people.errors import OwnReset, PasswordChanged, PasswordNotRight, PeopleOnly
from app.accounts.people.page_routes import RESET_PATH, get_reset_page, post_reset_page
from app.accounts.people.resetting import issue_reset
from app.accounts.people.schemas import PasswordChange, PasswordChangedView, ResetView
from app.accounts.scopes import ADMIN, ORGANISATIONS_WRITE
from app.db.installation import Installation
from app.http.documented import OPTION, Documented
from app.http.guarding import needs
from app.kernel.actor import Actor

TAGS = ["Accounts"]
OF_CHANGING = Documented(
    refuses=(PeopleOnly, PasswordNotRight, PasswordTooWeak, PasswordChanged, TooManyTries)
)


@post(
    "/api/v1/me/password",
    sync_to_thread=True,
    guards=[needs()],
    status_code=200,
    opt={OPTION: OF_CHANGING},
    tags=TAGS,
)
def post_password(
    request: Request[Any, Any, Any],
    data: JSONBody[PasswordChange],
    actor: NamedDependency[Actor],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> PasswordChangedView:
    """Change one's own password by the present one; every session and token of before ends.

    A wrong present password counts as a failed sign-in does.
    """
    # Hashed first: `session` locks the store once it is used.
    address = visitor_address(request, installation)
    change = prove_change(installation, actor, data.present, data.wanted, address)
    return PasswordChangedView(state="changed", sessions_ended=change_password(session, change))


@post(
    "/api/v1/organisations/{organisation_id:str}/members/{person_id:str}/password-reset",
    sync_to_thread=True,
    guards=[needs(ORGANISATIONS_WRITE, ADMIN)],
    opt={"holds_secret": True, OPTION: Documented(refuses=(OwnReset,))},
    tags=TAGS,
)
def post_password_reset(
    organisation_id: FromPath[str],
    person_id: FromPath[str],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
) -> ResetView:
    """Let a member set a new password once, within half an hour, by a link that you hand them."""
    token, lapses_at = issue_reset(session, organisation_id, person_id)
    url = f"{installation.settings.public_url}{RESET_PATH}?token={token}"
    return ResetView(state="issued", token=token, url=url, lapses_at=lapses_at)


PEOPLE_ROUTES = (post_password, post_password_reset, get_reset_page, post_reset_page)
