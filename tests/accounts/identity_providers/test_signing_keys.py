"""A provider's keys: of every kind that we take, and changed under our eyes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.kernel.clock import SetClock
from tests.accounts.identity_providers.company import Company
from tests.accounts.identity_providers.conftest import Firm


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA", "ES256", "RS256", "PS256"])
def test_a_provider_signs_by_any_algorithm_that_we_take(
    bare_firm: Firm, company: Company, algorithm: str
) -> None:
    company.new_keys(algorithm)
    bare_firm.attach()
    bare_firm.confirm()
    assert bare_firm.come_back().status_code == 303


def test_new_keys_are_asked_for_once_a_minute_at_most(
    firm: Firm, company: Company, clock: SetClock
) -> None:
    clock.advance(timedelta(minutes=1))
    company.new_keys("ES256")
    assert firm.come_back().status_code == 303
    company.new_keys("ES256")
    assert firm.come_back().status_code == 422
    clock.advance(timedelta(minutes=1))
    assert firm.come_back().status_code == 303


def test_a_token_without_a_key_name_is_taken_only_while_there_is_one_key(
    firm: Firm, company: Company, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "kid", None)
    monkeypatch.setattr(
        Company, "key_set", {"keys": [company.key.as_dict(private=False, kid="one")]}
    )
    firm.attach()
    company.make_token = company.signed_without_name
    assert firm.come_back().status_code == 303
    other = company.key.generate_key("P-256").as_dict(private=False, kid="two")
    keys = [company.key.as_dict(private=False, kid="one"), other]
    monkeypatch.setattr(Company, "key_set", {"keys": keys})
    firm.attach()
    assert firm.come_back().status_code == 422


def test_what_else_a_provider_publishes_of_its_keys_is_not_kept(
    firm: Firm, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    (true,) = company.key_set["keys"]
    strange = {"kid": "\x00", "x5c": ["\x00"], "d": "secret"}
    keys = [5, None, strange, {**true, "nul\x00": 5, "x5c": "\x00"}]
    monkeypatch.setattr(Company, "key_set", {"keys": keys})
    firm.attach()
    assert firm.come_back().status_code == 303


def test_what_a_provider_announces_is_asked_anew_after_a_day(
    firm: Firm, company: Company, clock: SetClock
) -> None:
    company.announced["authorization_endpoint"] = f"{company.issuer}/elsewhere"
    assert "/authorize?" in firm.where()
    clock.advance(timedelta(hours=24))
    assert "/elsewhere?" in firm.where()
    company.announced["issuer"] = "https://evil.example"
    company.announced["authorization_endpoint"] = "https://evil.example/authorize"
    clock.advance(timedelta(hours=24))
    assert "/elsewhere?" in firm.where()
    company.announced.clear()
    clock.advance(timedelta(hours=1))
    assert firm.come_back().status_code == 303
