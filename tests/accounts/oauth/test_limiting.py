"""Guessing passwords does not pay: limits per email and per address, over HTTP."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from httpx import Response
from sqlmodel import select

from app import wiring
from app.accounts.oauth.forgetting import forget_lapsed
from app.accounts.oauth.limiting import TooManyTries, count_try
from app.accounts.oauth.liveness import AccountAuthenticator
from app.accounts.oauth.models import SignInTries
from app.accounts.oauth.signing_in import SignInRefused, check_sign_in, start_session
from app.db.installation import Installation
from app.kernel.actor import ANONYMOUS, OPERATOR
from app.kernel.clock import SetClock
from app.main import create_app
from tests.accounts.conftest import PASSWORD, Parties
from tests.accounts.oauth.browser import FORM, REDIRECT, Browser, asked_for
from tests.live import LiveServer

EMAIL = "li@example.cn"
HOME = "198.51.100.1"


@pytest.fixture
def client_id(parties: Parties) -> str:
    organisation_id = parties.organisation()
    parties.member(organisation_id, EMAIL)
    made = parties.client(organisation_id, name="Portal", redirect_uris=[REDIRECT])
    return str(made["client_id"])


def hold_tries(installation: Installation, number: int, address: str) -> None:
    """As if so many passwords had been wrong, each for an email of its own."""
    with installation.transaction(ANONYMOUS) as session:
        for count in range(number):
            count_try(session, f"p{count}@example.cn", address)


class Visitor:
    """A browser that stays on the sign-in page."""

    def __init__(self, parties: Parties, client_id: str, language: str = "en") -> None:
        self.browser = Browser(parties, language=language)
        self.page = self.browser.get("/oauth/authorize?" + urlencode(asked_for(client_id)))

    def tries(self, password: str, email: str = EMAIL) -> Response:
        return self.browser.submit(self.page, email=email, password=password)


def test_after_five_tries_an_email_must_wait_whoever_has_it(
    parties: Parties, client_id: str, clock: SetClock
) -> None:
    for email in (EMAIL, "nobody@example.cn"):
        visitor = Visitor(parties, client_id)
        answers = [visitor.tries("wrong password", email.upper()) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [422] * 5 + [429] * 2
        assert [answer.headers.get("retry-after") for answer in answers] == [None] * 5 + ["30"] * 2
    visitor = Visitor(parties, client_id)
    assert visitor.tries(PASSWORD).status_code == 429
    clock.advance(timedelta(seconds=30))
    assert visitor.tries("wrong password").status_code == 422
    assert visitor.tries(PASSWORD).headers["retry-after"] == "60"
    clock.advance(timedelta(seconds=60))
    assert visitor.tries(PASSWORD).status_code == 303
    assert [visitor.tries("wrong").status_code for _ in range(6)] == [422] * 5 + [429]


def test_who_must_wait_reads_for_how_long_and_can_try_again_on_that_page(
    parties: Parties, client_id: str, clock: SetClock
) -> None:
    told: dict[str, list[str]] = {"en": [], "zh-CN": []}
    for _ in range(4):
        Visitor(parties, client_id).tries("wrong")
    for _ in range(3):
        Visitor(parties, client_id).tries("wrong")
        for language, texts in told.items():
            answer = Visitor(parties, client_id, language).tries(PASSWORD)
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.headers["cache-control"] == "no-store"
            assert 'role="alert"' in answer.text
            assert f'value="{EMAIL}"' in answer.text
            texts.append(answer.text)
        clock.advance(timedelta(seconds=int(answer.headers["retry-after"])))
    for text, wait in zip(told["en"], ("30 seconds", "60 seconds", "2 minutes"), strict=True):
        assert f"Please try again in {wait}." in text
    for text, wait in zip(told["zh-CN"], ("30 秒", "60 秒", "2 分钟"), strict=True):
        assert f"请在 {wait}后再试" in text
    visitor = Visitor(parties, client_id)
    answer = visitor.tries("wrong")
    assert visitor.browser.submit(answer, email=EMAIL, password=PASSWORD).status_code == 429


def test_an_address_has_fifty_tries_then_one_each_few_minutes_whoever_it_tries_to_be(
    parties: Parties, client_id: str, clock: SetClock, installation: Installation
) -> None:
    hold_tries(installation, 48, "testclient")
    visitor = Visitor(parties, client_id)
    answers = [visitor.tries("wrong", f"p{number}@example.cn") for number in range(48, 52)]
    assert [answer.status_code for answer in answers] == [422] * 2 + [429] * 2
    assert answers[-1].headers["retry-after"] == "30"
    assert visitor.tries(PASSWORD).status_code == 429, "the right password is not even looked at"
    clock.advance(timedelta(seconds=30))
    assert visitor.tries("wrong", "p51@example.cn").status_code == 422
    assert visitor.tries(PASSWORD).headers["retry-after"] == "60"
    clock.advance(timedelta(hours=2))
    assert visitor.tries(PASSWORD).status_code == 303


def test_a_blocked_address_cannot_block_an_email(installation: Installation) -> None:
    hold_tries(installation, 50, HOME)
    for _ in range(10):
        with pytest.raises(TooManyTries):
            check_sign_in(installation, EMAIL, "wrong", HOME)
    with pytest.raises(SignInRefused):
        check_sign_in(installation, EMAIL, "wrong", "198.51.100.2")


def test_a_right_password_clears_its_email_but_of_the_address_only_its_own_try(
    parties: Parties, client_id: str, installation: Installation
) -> None:
    def signs_in() -> None:
        proven = check_sign_in(installation, EMAIL, PASSWORD, HOME)
        with installation.transaction(ANONYMOUS) as session:
            start_session(session, proven, HOME)

    for _ in range(10):
        signs_in()
    hold_tries(installation, 49, HOME)
    for _ in range(3):
        signs_in()
    with pytest.raises(SignInRefused):
        check_sign_in(installation, EMAIL, "wrong", HOME)
    with pytest.raises(TooManyTries):
        check_sign_in(installation, EMAIL, PASSWORD, HOME)


def test_tries_at_the_same_moment_all_count(installation: Installation) -> None:
    def one(number: int) -> str:
        try:
            # Each from its own address: only the email is shared.
            check_sign_in(installation, EMAIL, "wrong", f"198.51.100.{number}")
        except (SignInRefused, TooManyTries) as refusal:
            return refusal.slug
        return "signed in"

    with ThreadPoolExecutor(12) as pool:
        outcomes = Counter(pool.map(one, range(24)))
    assert outcomes == {"sign-in-refused": 5, "too-many-tries": 19}


def test_right_and_wrong_tries_at_the_same_moment_never_fail_otherwise(
    parties: Parties, client_id: str, installation: Installation, clock: SetClock
) -> None:
    def one(_number: int) -> str:
        try:
            proven = check_sign_in(installation, EMAIL, PASSWORD, HOME)
            with installation.transaction(ANONYMOUS) as session:
                start_session(session, proven, HOME)
            clock.advance(timedelta(milliseconds=1))
            forget_lapsed(installation)  # takes away the very row that the next try needs
        except TooManyTries as refusal:
            return refusal.slug
        return "signed in"

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(one, range(40)))
    assert set(outcomes) <= {"signed in", "too-many-tries"}
    assert outcomes["signed in"] >= 5


def test_what_time_has_forgiven_is_swept_and_nothing_else(
    installation: Installation, clock: SetClock
) -> None:
    def kept() -> int:
        with installation.transaction(OPERATOR, writes=False) as session:
            return len(session.exec(select(SignInTries)).all())

    with pytest.raises(SignInRefused):
        check_sign_in(installation, EMAIL, "wrong", HOME)
    forget_lapsed(installation)
    assert kept() == 2
    clock.advance(timedelta(minutes=2, seconds=1))
    forget_lapsed(installation)
    assert kept() == 1, "the email's try is forgiven later"
    clock.advance(timedelta(minutes=28))
    forget_lapsed(installation)
    assert kept() == 0


def test_behind_a_trusted_proxy_each_visitor_has_a_limit_of_their_own(
    parties: Parties, client_id: str, installation: Installation
) -> None:
    hold_tries(installation, 50, "2001:db8::/64")
    page = Visitor(parties, client_id)
    path = "/oauth/sign-in?" + urlencode(asked_for(client_id))
    fields = re.findall(r'name="form_token" value="([^"]*)"', page.page.text)
    cookies = {"zhigu_form": page.browser.cookies["zhigu_form"]}

    def status(server: LiveServer, address: str) -> int:
        body = urlencode({"form_token": fields[0], "email": EMAIL, "password": "wrong"})
        headers = {**FORM, "X-Forwarded-For": f"203.0.113.9, {address}"}
        url = server.url + path
        return httpx.post(url, content=body, headers=headers, cookies=cookies).status_code

    believing = msgspec.structs.replace(installation.settings, trusted_proxies=("127.0.0.0/8",))
    with served(dataclasses.replace(installation, settings=believing)) as server:
        assert status(server, "2001:db8::1") == 429
        assert status(server, "2001:db8::2") == 429, "the same /64, so the same customer"
        assert status(server, "2001:db8:0:1::1") == 422
        assert status(server, "198.51.100.1") == 422
    with served(installation) as server:
        assert status(server, "2001:db8::1") == 422, "nobody else's header is believed"


@contextmanager
def served(installation: Installation) -> Iterator[LiveServer]:
    authenticator = AccountAuthenticator(installation)
    server = LiveServer(create_app(installation, authenticator, wiring.ROUTERS)).start()
    yield server
    server.stop()
