"""The pages of buyer and provider say SANDBOX, and one POST does what they are for."""

from __future__ import annotations

import pytest

from app.sandbox.stripe_double.running import RunningDouble
from tests.sandbox.calling import request
from tests.sandbox.stripe_double.sales import Api, checkout

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_one_post_pays_and_goes_back_to_the_shop(api: Api, double: RunningDouble) -> None:
    session = checkout(api)
    assert session.url == f"{double.url}/pay/{session.id}"
    page = request("GET", session.url)
    text = page.body.decode()
    assert page.status == 200
    assert "SANDBOX" in text
    assert "智谷 invoice &lt;1&gt;" in text
    assert "106.00 CNY" in text
    assert text.count("<form") == 1
    for _ in range(2):
        paid = request("POST", session.url)
        assert paid.status == 303
        assert paid.headers["Location"] == f"http://127.0.0.1:1/paid?session={session.id}"
    assert [charge["status"] for charge in double.all_of("charge")] == ["succeeded"]
    assert request("GET", session.url).status == 410


def test_the_buyer_may_let_the_card_be_declined(api: Api, double: RunningDouble) -> None:
    session = checkout(api)
    page = request("POST", session.url, "outcome=declined", FORM)
    assert (page.status, "declined" in page.body.decode()) == (402, True)
    assert request("POST", session.url, "outcome=paid", FORM).status == 303
    assert [charge["status"] for charge in double.all_of("charge")] == ["failed", "succeeded"]


def test_a_page_that_is_not_there_is_404(double: RunningDouble) -> None:
    assert request("GET", f"{double.url}/pay/cs_test_0").status == 404
    assert request("POST", f"{double.url}/pay/cs_test_0").status == 404
    assert request("GET", f"{double.url}/setup/alink_0").status == 410


def test_an_account_is_set_up_by_one_post(api: Api, double: RunningDouble) -> None:
    account = api.accounts.create({"capabilities": {"transfers": {"requested": True}}})
    assert (account.capabilities.transfers, account.details_submitted) == ("inactive", False)
    link = api.account_links.create(
        {
            "account": account.id,
            "type": "account_onboarding",
            "return_url": "http://127.0.0.1:1/back",
        }
    )
    page = request("GET", link.url).body.decode()
    assert "SANDBOX" in page
    assert account.id in page
    done = request("POST", link.url)
    assert (done.status, done.headers["Location"]) == (303, "http://127.0.0.1:1/back")
    ready = api.accounts.retrieve(account.id)
    assert (ready.capabilities.transfers, ready.details_submitted) == ("active", True)
    assert ready.requirements.currently_due == []


@pytest.mark.parametrize("path", ["pay", "setup"])
def test_a_page_loads_nothing_and_is_framed_by_nobody(
    api: Api, double: RunningDouble, path: str
) -> None:
    account = api.accounts.create({}).id
    link = api.account_links.create({"account": account, "type": "account_onboarding"})
    url = {"pay": checkout(api).url, "setup": link.url}[path]
    policy = request("GET", url).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
