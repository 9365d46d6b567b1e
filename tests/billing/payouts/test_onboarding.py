"""A provider gets an account at the processor and sets it up there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.billing.payouts.onboarding import open_account
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.sandbox.stripe_double.faults import FaultKind
from tests.billing.killing import killed_everywhere
from tests.billing.till import Till


def path(organisation_id: str) -> str:
    return f"/api/v1/organisations/{organisation_id}/payout-account"


def account_of(till: Till) -> dict[str, Any]:
    answer = till.provider.get(path(till.provider_id))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_account_is_requested_set_up_and_ready(till: Till) -> None:
    assert till.provider.get(path(till.provider_id)).status_code == 404
    asked = till.provider.post(path(till.provider_id))
    assert (asked.status_code, asked.json()["state"]) == (202, "requested")
    assert asked.json()["onboarding_url"] is None
    till.work()
    found = account_of(till)
    assert found["state"] == "onboarding"
    assert found["onboarding_url"].startswith(till.double.url)
    assert found["sandbox"] is True
    (account,) = till.double.all_of("account")
    till.double.onboard(account["id"])
    till.deliver()
    till.work()
    found = account_of(till)
    assert (found["state"], found["may_receive"], found["details_submitted"]) == (
        "ready",
        True,
        True,
    )
    assert till.leaves(till.provider_id) == [
        "payout_account:requested",
        "payout_account:changed",
        "payout_account:changed",
    ]


def test_only_who_may_change_the_account_is_told_its_link(till: Till) -> None:
    """Whoever follows the link names the bank account that the provider's money goes to."""
    till.provider.post(path(till.provider_id))
    till.work()
    assert account_of(till)["onboarding_url"] is not None
    reader = till.api.as_client(till.provider_id, "billing:read")
    admin = till.api.as_client(
        new_id("org"), "admin", "billing:read", "billing:write", roles=["admin"]
    )
    for caller in (reader, admin):
        answer = caller.get(path(till.provider_id))
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "onboarding"
        assert answer.json()["onboarding_url"] is None
        assert answer.json()["onboarding_url_expires_at"] is None


def test_asking_again_gives_a_new_link_to_the_same_account(till: Till) -> None:
    urls = []
    for _ in range(2):
        till.provider.post(path(till.provider_id))
        till.work()
        urls.append(account_of(till)["onboarding_url"])
    assert len(set(urls)) == 2
    assert len(till.double.all_of("account")) == 1


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER])
def test_silence_makes_one_account(till: Till, clock: SetClock, fault: FaultKind) -> None:
    till.double.fail(fault, "/v1/accounts")
    till.provider.post(path(till.provider_id))
    till.work()
    assert account_of(till)["state"] == "requested"
    clock.advance(timedelta(seconds=5))
    till.work()
    assert account_of(till)["state"] == "onboarding"
    assert len(till.double.all_of("account")) == 1


def test_a_worker_that_is_killed_anywhere_makes_one_account(till: Till) -> None:
    till.provider.post(path(till.provider_id))
    killed_everywhere(
        till.installation, lambda: open_account(till.installation, till.provider_id, 1)
    )
    assert account_of(till)["state"] == "onboarding"
    assert len(till.double.all_of("account")) == 1


def test_an_account_is_its_organisations_own(till: Till) -> None:
    till.provider.post(path(till.provider_id))
    stranger = till.api.as_client(new_id("org"), "billing:read", "billing:write")
    for caller in (till.buyer, stranger):
        assert caller.get(path(till.provider_id)).status_code == 404
        assert caller.post(path(till.provider_id)).status_code == 404
    assert till.auditor.get(path(till.provider_id)).status_code == 404
    admin = till.api.as_client(
        new_id("org"), "admin", "billing:read", "billing:write", roles=["admin"]
    )
    assert admin.get(path(till.provider_id)).status_code == 200
    assert admin.post(path(new_id("org"))).status_code == 404
