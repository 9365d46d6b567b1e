"""What ends a sign-in meets what it gives at the same moment: one of the two sees the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from httpx import Response
from sqlmodel import Session, select

from app.accounts.joining import remove_person
from app.accounts.models import Person
from app.accounts.oauth.codes import Consent, new_code
from app.accounts.oauth.forgetting import forget_lapsed
from app.accounts.oauth.limiting import count_try
from app.accounts.oauth.models import Delegation, SignInTries
from app.accounts.oauth.registered_clients import find_client
from app.accounts.oauth.signing_in import (
    ProvenSignIn,
    SignInRefused,
    check_sign_in,
    end_session,
    find_session,
    hold_person,
    start_session,
)
from app.accounts.passwords import hash_password
from app.accounts.people.changing import set_password
from app.accounts.registering import suspend_organisation
from app.accounts.scopes import ADMIN, SCOPES
from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.kernel.actor import ANONYMOUS, Actor, ActorKind
from app.kernel.canonical import sha256_hex
from app.kernel.clock import SetClock
from tests.accounts.conftest import PASSWORD
from tests.accounts.oauth.browser import REDIRECT, asked_for
from tests.accounts.oauth.scenes import EMAIL, Scene
from tests.accounts.waiting import until_somebody_waits

HOME = "198.51.100.1"
OTHER = "staple of a longer sort"


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def admin(scene: Scene) -> Actor:
    operator = scene.parties.operator
    return Actor(
        ActorKind.CLIENT,
        operator.client_id,
        operator.organisation_id,
        roles=frozenset({"admin"}),
        scopes=frozenset({*SCOPES, ADMIN}),
        client_id=operator.client_id,
    )


def cookie_of(scene: Scene) -> str:
    return scene.browser.cookies["zhigu_session"]


def signs_out(session: Session, scene: Scene) -> None:
    end_session(session, cookie_of(scene))


def changes_password(session: Session, scene: Scene) -> None:
    person = get_or_refuse(session, Person, scene.person_id, lock=True)
    set_password(session, person, hash_password(OTHER), "person:password_changed")


def is_removed(session: Session, scene: Scene) -> None:
    remove_person(session, scene.organisation_id, scene.person_id)


def is_suspended(session: Session, scene: Scene) -> None:
    suspend_organisation(session, scene.organisation_id, "a test")


Ending = Callable[[Session, Scene], None]
OF_SESSIONS: tuple[Ending, ...] = (signs_out, changes_password, is_removed, is_suspended)


@pytest.fixture
def second_owner(scene: Scene) -> None:
    scene.parties.member(scene.organisation_id, "zhao@example.cn")


@pytest.mark.usefixtures("second_owner")
@pytest.mark.parametrize("ending", OF_SESSIONS)
def test_a_sign_in_that_is_being_ended_gives_no_code(
    scene: Scene,
    installation: Installation,
    admin: Actor,
    meanwhile: ThreadPoolExecutor,
    ending: Ending,
) -> None:
    page = scene.browser.sign_in(EMAIL, scene.client_id)
    agreed: Future[Response]
    with installation.transaction(admin) as session:
        ending(session, scene)
        session.flush()
        agreed = meanwhile.submit(scene.browser.submit, page, decision="allow")
        until_somebody_waits(installation)
    assert not agreed.result().headers.get("location", "").startswith(REDIRECT)
    with installation.transaction(ANONYMOUS, writes=False) as session:
        assert session.exec(select(Delegation)).all() == []


def test_who_ends_everything_waits_for_the_code_and_ends_it_too(
    scene: Scene, installation: Installation, meanwhile: ThreadPoolExecutor
) -> None:
    scene.browser.sign_in(EMAIL, scene.client_id)

    def end() -> None:
        with installation.transaction(ANONYMOUS) as session:
            changes_password(session, scene)

    with installation.transaction(ANONYMOUS) as session:
        assert hold_person(session, cookie_of(scene)) is not None
        ended = meanwhile.submit(end)
        until_somebody_waits(installation)
        signed_in, client = (
            find_session(session, cookie_of(scene)),
            find_client(session, scene.client_id),
        )
        assert signed_in is not None
        assert client is not None
        consent = Consent(
            client=client.row,
            signed_in=signed_in,
            redirect_uri=REDIRECT,
            scope="listings:read",
            code_challenge="c" * 43,
        )
        new_code(session, consent)
    ended.result()
    with installation.transaction(ANONYMOUS, writes=False) as session:
        (delegation,) = session.exec(select(Delegation)).all()
        assert delegation.ended_at is not None


@pytest.mark.usefixtures("second_owner")
@pytest.mark.parametrize("ending", [changes_password, is_removed, is_suspended])
def test_a_password_that_was_right_a_moment_ago_opens_no_session(
    scene: Scene,
    installation: Installation,
    admin: Actor,
    meanwhile: ThreadPoolExecutor,
    ending: Ending,
) -> None:
    def start(proven: ProvenSignIn) -> None:
        with installation.transaction(ANONYMOUS) as session:
            start_session(session, proven, HOME)

    proven = check_sign_in(installation, EMAIL, PASSWORD, HOME)
    with installation.transaction(admin) as session:
        ending(session, scene)
        session.flush()
        late = meanwhile.submit(start, proven)
        until_somebody_waits(installation)
    with pytest.raises(SignInRefused):
        late.result()
    with pytest.raises(SignInRefused):
        start(proven)


def test_the_page_says_the_same_when_the_password_changed_while_it_was_checked(
    scene: Scene, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.accounts.oauth import page_routes

    def checked(*arguments: str) -> ProvenSignIn:
        proven = check_sign_in(installation, *arguments[1:])
        with installation.transaction(ANONYMOUS) as session:
            changes_password(session, scene)
        return proven

    monkeypatch.setattr(page_routes, "check_sign_in", checked)
    answer = scene.browser.try_password(EMAIL, scene.client_id, PASSWORD)
    assert answer.status_code == 422
    assert "is not right" in answer.text
    assert "zhigu_session" not in scene.browser.cookies
    page = scene.browser.get("/oauth/authorize?" + urlencode(asked_for(scene.client_id)))
    assert 'type="password"' in page.text


def test_the_sweep_waits_for_nobody_whose_try_is_being_counted(
    installation: Installation, engine_name: str, clock: SetClock, meanwhile: ThreadPoolExecutor
) -> None:
    for address in (HOME, "198.51.100.2"):
        with installation.transaction(ANONYMOUS) as session:
            count_try(session, EMAIL, address)
    clock.advance(timedelta(hours=3))
    with installation.transaction(ANONYMOUS) as session:
        count_try(session, EMAIL, HOME)
        session.flush()
        swept = meanwhile.submit(forget_lapsed, installation)
        if engine_name == "postgres":  # SQLite has one writer at a time
            swept.result(timeout=20)
    swept.result()
    with installation.transaction(ANONYMOUS, writes=False) as session:
        kept = {row.name_sha256 for row in session.exec(select(SignInTries)).all()}
    assert kept == {sha256_hex(name.encode()) for name in (f"email:{EMAIL}", f"address:{HOME}")}
