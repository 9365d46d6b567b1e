"""Arriving: people come by their company's sign-in, are who they were, and have the role given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import Session, col, select

from app.accounts.checking import problems
from app.accounts.identity_providers.models import KnownIdentity, ProviderVisit
from app.accounts.models import Person
from app.accounts.oauth.models import SignInSession
from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from tests.accounts.conftest import PASSWORD, Parties
from tests.accounts.identity_providers.company import Company
from tests.accounts.identity_providers.conftest import DOMAIN, Firm, firm_of
from tests.accounts.oauth.browser import Browser


def leaves(session: Session, subject: str) -> list[str]:
    found = select(Leaf.kind).where(Leaf.subject_id == subject).order_by(col(Leaf.id))
    return list(session.exec(found).all())


def is_sound(installation: Installation) -> None:
    with installation.transaction(OPERATOR, writes=False) as session:
        assert list(problems(session)) == []


def test_who_comes_for_the_first_time_becomes_a_person_with_the_mapped_role(
    firm: Firm, installation: Installation
) -> None:
    me = firm.arrive()
    assert (me["kind"], me["name"], me["roles"]) == ("person", "王五", ["purchaser"])
    assert me["organisation_id"] == firm.organisation_id
    with installation.transaction(OPERATOR, writes=False) as session:
        person = session.get_one(Person, me["id"])
        assert (person.email, person.organisation_id) == (f"wang@{DOMAIN}", firm.organisation_id)
        known = session.exec(select(KnownIdentity)).one()
        assert (known.subject, known.person_id) == ("emp-1", me["id"])
        assert session.exec(select(SignInSession.amr)).one() == "fed"
        told = leaves(session, me["id"])
        assert told == ["person:joined", "person:identity_bound"]
        visit = session.exec(select(ProviderVisit)).one()
        assert visit.used_at is not None
    is_sound(installation)


def test_who_comes_again_is_the_same_person_with_the_role_of_today(
    firm: Firm, company: Company, installation: Installation
) -> None:
    first = firm.arrive()
    company.claims |= {"groups": ["zhigu-owners", "zhigu-buyers"], "name": "Other"}
    again = firm.arrive()
    assert again["id"] == first["id"]
    assert (again["roles"], again["name"]) == (["owner"], "王五")
    assert firm.parties.api.with_token(first["token"]).get("/api/v1/me").status_code == 401
    with installation.transaction(OPERATOR, writes=False) as session:
        assert leaves(session, first["id"])[-1] == "person:role_changed"
    is_sound(installation)


def test_who_has_no_mapped_role_gets_no_session_and_loses_the_ones_they_had(
    firm: Firm, company: Company, installation: Installation
) -> None:
    first = firm.arrive()
    company.claims["groups"] = ["staff"]
    answer = firm.come_back()
    assert answer.status_code == 422
    assert "no role" in answer.text
    assert firm.parties.api.with_token(first["token"]).get("/api/v1/me").status_code == 401
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(SignInSession)).one().ended_at is not None


def test_a_stranger_without_a_mapped_role_is_not_even_entered(
    firm: Firm, company: Company, installation: Installation
) -> None:
    company.claims["groups"] = "staff"
    assert firm.come_back().status_code == 422
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(Person)).all() == []


def test_a_default_role_is_for_those_whom_no_value_maps(bare_firm: Firm, company: Company) -> None:
    bare_firm.attach(default_role="viewer")
    bare_firm.confirm()
    del company.claims["groups"]
    assert bare_firm.arrive()["roles"] == ["viewer"]


def test_a_member_with_that_address_is_bound_and_no_second_person_made(
    firm: Firm, parties: Parties
) -> None:
    member = parties.member(firm.organisation_id, f"Wang@{DOMAIN}", "viewer")
    parties.member(firm.organisation_id, "owner@elsewhere.example", "owner")
    me = firm.arrive()
    assert (me["id"], me["roles"]) == (member["id"], ["purchaser"])


def test_the_last_owner_stays_one_whatever_the_provider_says(firm: Firm, parties: Parties) -> None:
    parties.member(firm.organisation_id, f"wang@{DOMAIN}", "owner")
    assert firm.arrive()["roles"] == ["owner"]


def test_nobody_of_another_organisation_is_taken_over(
    firm: Firm, parties: Parties, installation: Installation
) -> None:
    other = parties.organisation()
    person_id = parties.member(other, f"wang@{DOMAIN}", "owner")["id"]
    answer = firm.come_back()
    assert answer.status_code == 422
    with installation.transaction(OPERATOR, writes=False) as session:
        assert session.exec(select(KnownIdentity)).all() == []
        assert session.get_one(Person, person_id).organisation_id == other
        assert session.exec(select(SignInSession)).all() == []


def test_an_address_that_was_given_to_somebody_else_does_not_bring_their_account(
    firm: Firm, company: Company
) -> None:
    firm.arrive()
    company.claims["sub"] = "emp-2"
    assert firm.come_back().status_code == 422


def test_who_was_removed_here_stays_out(firm: Firm, company: Company) -> None:
    company.claims["groups"] = ["zhigu-buyers"]
    me = firm.arrive()
    path = f"/api/v1/organisations/{firm.organisation_id}/members/{me['id']}/remove"
    assert firm.own().post(path).status_code == 200
    assert firm.come_back().status_code == 422
    company.claims["sub"] = "emp-2"
    assert firm.come_back().status_code == 422


def test_whoever_came_by_a_provider_is_signed_out_when_it_is_detached(
    firm: Firm, installation: Installation
) -> None:
    me, where = firm.arrive(), firm.where()
    gone = firm.own().request("DELETE", firm.path)
    assert (gone.status_code, gone.json()["state"]) == (200, "detached")
    assert firm.parties.api.with_token(me["token"]).get("/api/v1/me").status_code == 401
    assert firm.bring(firm.company.answer_of(where)).status_code == 422
    assert firm.start().status_code == 422
    is_sound(installation)


def test_a_suspended_organisation_leads_nobody_in(
    firm: Firm, parties: Parties, company: Company
) -> None:
    elsewhere = firm_of(parties, company)
    assert elsewhere.start().status_code == 200
    where = firm.where()
    path = f"/api/v1/organisations/{firm.organisation_id}/suspend"
    parties.admin().post(path, json={"reason": "Frist"})
    assert firm.bring(company.answer_of(where)).status_code == 422
    assert elsewhere.start().status_code == 422


def test_an_unconfirmed_domain_leads_nowhere_and_lets_nobody_in(
    bare_firm: Firm, company: Company
) -> None:
    bare_firm.attach(domains=[DOMAIN, "second.example"])
    assert bare_firm.start().status_code == 422
    bare_firm.confirm()
    company.claims["email"] = "wang@second.example"
    assert bare_firm.come_back().status_code == 422
    bare_firm.confirm("second.example")
    assert bare_firm.come_back().status_code == 303


@pytest.mark.parametrize(
    "email",
    [
        "wang@corp.example.evil.example",
        "wang@sub.corp.example",
        "wang@corp.example@evil.example",
        "wang@ｃorp.example",
        "王@corp.example",
        "corp.example",
        "@corp.example",
        "wang@corp.example\n",
        "a b@corp.example",
        5,
        None,
    ],
)
def test_only_a_plain_address_of_the_domain_comes_in(
    firm: Firm, company: Company, email: object
) -> None:
    company.claims["email"] = email
    assert firm.come_back().status_code == 422


@pytest.mark.parametrize("verified", [False, "true", 1, None])
def test_an_address_that_the_provider_has_not_verified_is_nobodys(
    firm: Firm, company: Company, verified: object
) -> None:
    company.claims["email_verified"] = verified
    assert firm.come_back().status_code == 422


def test_the_way_there_is_the_same_whoever_has_the_address(firm: Firm, parties: Parties) -> None:
    parties.member(firm.organisation_id, f"li@{DOMAIN}", "owner")
    pages = [firm.start(f"{name}@{DOMAIN}") for name in ("li", "nobody")]
    assert {page.status_code for page in pages} == {200}
    for known in ("someone@elsewhere.example", "", "@", "x" * 300, "\x00@" + DOMAIN):
        assert firm.start(known).status_code == 422


def test_a_password_opens_nothing_where_the_organisation_does_not_allow_it(
    firm: Firm, parties: Parties
) -> None:
    parties.member(firm.organisation_id, f"li@{DOMAIN}", "owner")
    parties.member(firm.organisation_id, "zhao@elsewhere.example", "viewer")
    trying = Browser(parties)
    assert trying.try_password(f"li@{DOMAIN}", firm.client_id, PASSWORD).status_code == 303
    firm.attach(password_allowed=False)
    for email in (f"li@{DOMAIN}", "zhao@elsewhere.example"):
        answer = Browser(parties).try_password(email, firm.client_id, PASSWORD)
        assert answer.status_code == 422
        assert "The email address or the password is not right." in answer.text
    firm.attach(password_allowed=False, domains=[])
    trying = Browser(parties)
    assert trying.try_password(f"li@{DOMAIN}", firm.client_id, PASSWORD).status_code == 303


def test_another_organisations_people_still_use_their_passwords(
    firm: Firm, parties: Parties, company: Company
) -> None:
    other = firm_of(parties, company)
    parties.member(other.organisation_id, "zhao@elsewhere.example", "owner")
    firm.attach(password_allowed=False)
    answer = Browser(parties).try_password("zhao@elsewhere.example", other.client_id, PASSWORD)
    assert answer.status_code == 303


def test_a_visit_is_good_for_ten_minutes_in_one_browser_and_once(
    firm: Firm, clock: SetClock, company: Company
) -> None:
    answer = company.answer_of(firm.where())
    stranger = Firm(firm.parties, company, firm.organisation_id, firm.client_id)
    assert stranger.bring(answer).status_code == 422
    stranger.where()
    assert stranger.bring(answer).status_code == 422
    assert firm.bring(answer).status_code == 303
    assert firm.bring(answer).status_code == 422
    late = company.answer_of(firm.where())
    clock.advance(timedelta(minutes=10))
    assert firm.bring(late).status_code == 422
    assert firm.bring({"code": "x"}).status_code == 422
    assert firm.browser.get("/oauth/company/callback?state=a&state=b").status_code == 400


def test_the_cookie_of_before_is_not_the_session_of_after(firm: Firm) -> None:
    firm.browser.cookies["zhigu_session"] = "planted"
    firm.arrive()
    assert firm.browser.cookies["zhigu_session"] != "planted"
