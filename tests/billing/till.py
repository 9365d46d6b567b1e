"""A till: an installation with the Stripe double at its side, and what a test does at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlmodel import Session, col, select

from app import wiring
from app.accounts.models import Organisation
from app.accounts.states import OrganisationKind, VerificationState
from app.audit.models import Leaf
from app.billing import tasks as billing_tasks
from app.billing.invoices.drawing import draw_invoices
from app.billing.invoices.lines import SignedPrices
from app.billing.ledger.queries import account_balances
from app.db.installation import Installation
from app.db.session import now
from app.http.authenticating import Authenticator
from app.jobs.worker import Worker
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from app.sandbox.stripe_double.refusals import StripeRefusal
from app.sandbox.stripe_double.running import RunningDouble
from app.sandbox.stripe_double.webhooks import SignedWebhook
from tests.billing.sales import contract_of, month_of
from tests.conftest import Api, Caller, KnownActors
from tests.stage import the_stage

KEY = "sk_test_of_the_till"
SECRET = "whsec_of_the_till"
READ_AND_WRITE = ("billing:read", "billing:write")


class Nobody(Authenticator):
    """Knows no token but those that the test gave out."""

    def actor_of(self, token: str) -> Any:
        raise AssertionError(f"nobody has the token {token}")


@dataclass(eq=False)
class Till:
    """A buyer and a provider, and between them the whole application and the double."""

    installation: Installation
    double: RunningDouble
    api: Api
    buyer_id: str
    provider_id: str

    @property
    def buyer(self) -> Caller:
        return self.api.as_client(self.buyer_id, *READ_AND_WRITE)

    @property
    def provider(self) -> Caller:
        return self.api.as_client(self.provider_id, *READ_AND_WRITE)

    @property
    def auditor(self) -> Caller:
        return self.api.as_client(new_id("org"), "billing:read", roles=["auditor"])

    @property
    def worker(self) -> Worker:
        return Worker(self.installation, wiring.JOBS, billing_tasks.SCHEDULE)

    def work(self) -> None:
        """Run every due job; those that fail wait for a later moment."""
        self.worker.run_due()

    def invoice(self, units: int = 100, prices: SignedPrices | None = None) -> str:
        """An invoice of so many yuan, without tax, that is to be paid; its id."""
        contract = contract_of(self.provider_id, self.buyer_id, prices=prices)
        with self.installation.transaction(OPERATOR) as session:
            (invoice_id,) = draw_invoices(session, [month_of(contract, units)], final=True)
        return invoice_id

    def pay(self, invoice_id: str, **body: Any) -> str:
        """The buyer begins to pay; the payment's id."""
        answer = self.buyer.post(
            f"/api/v1/invoices/{invoice_id}/pay", json={"method": "stripe", **body}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["payment_id"])

    def payment(self, payment_id: str) -> dict[str, Any]:
        answer = self.buyer.get(f"/api/v1/payments/{payment_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def checkout(self, payment_id: str) -> str:
        """The session of the payment's page at the double."""
        url = self.payment(payment_id)["checkout_url"]
        assert url is not None, "no page is open"
        return str(url).rpartition("/")[2]

    def complete(self, payment_id: str, decline: str | None = None) -> None:
        """The buyer pays on the page, or tries to with a card that is declined."""
        if decline is None:
            self.double.pay(self.checkout(payment_id))
            return
        with pytest.raises(StripeRefusal):
            self.double.pay(self.checkout(payment_id), decline)

    def deliver(self, webhooks: list[SignedWebhook] | None = None) -> None:
        """The double's webhooks arrive."""
        for webhook in self.double.take_webhooks() if webhooks is None else webhooks:
            answer = self.send(webhook.body, webhook.signature)
            assert answer.status_code == 200, answer.text

    def send(self, body: bytes, signature: str | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers["Stripe-Signature"] = signature
        return self.api.anonymous().post("/webhooks/stripe", content=body, headers=headers)

    def paid(self, units: int = 100) -> str:
        """An invoice that is paid through the double; the payment's id."""
        payment_id = self.pay(self.invoice(units))
        self.work()
        self.complete(payment_id)
        self.deliver()
        self.work()
        return payment_id

    def onboard(self) -> str:
        """The provider opens its payout account and sets it up; the account at the double."""
        path = f"/api/v1/organisations/{self.provider_id}/payout-account"
        assert self.provider.post(path).status_code == 202
        self.work()
        (account,) = self.double.all_of("account")
        self.double.onboard(account["id"])
        self.deliver()
        self.work()
        return str(account["id"])

    def balances(self) -> dict[str, int]:
        """Every account that is not at zero, by a code in which parties have short names."""
        names = {self.buyer_id: "buyer", self.provider_id: "provider"}
        with self.session() as session:
            found = {b.account: b.balance.minor for b in account_balances(session)}
        return {
            ":".join(names.get(part, part) for part in account.split(":")): minor
            for account, minor in found.items()
            if minor
        }

    def leaves(self, subject_id: str) -> list[str]:
        """What the log says happened to a row."""
        with self.session() as session:
            kinds = select(Leaf.kind).where(Leaf.subject_id == subject_id).order_by(col(Leaf.id))
            return list(session.exec(kinds))

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.installation.transaction(OPERATOR, writes=False) as session:
            yield session


@contextmanager
def open_till(installation: Installation, double: RunningDouble, **more: Any) -> Iterator[Till]:
    """A till at `installation`, whose settings know the double; `more` are other settings."""
    settings = msgspec.structs.replace(
        installation.settings,
        **{
            "stripe_secret_key": KEY,
            "stripe_api_base": double.url,
            "stripe_webhook_secrets": (SECRET,),
            "stripe_sandbox": True,
            **more,
        },
    )
    ours = replace(installation, settings=settings)
    actors = KnownActors(Nobody())
    with ours.transaction(OPERATOR) as session:
        buyer_id, provider_id = (_add_organisation(session, name) for name in ("买方", "供方"))
    with the_stage().serve(ours, actors) as client:
        yield Till(ours, double, Api(client, actors), buyer_id, provider_id)


def _add_organisation(session: Session, name: str) -> str:
    organisation = Organisation(
        id=new_id("org"),
        name=name,
        credit_code=new_id("org")[-18:].upper(),
        kind=OrganisationKind.ENTERPRISE,
        contact={},
        verification_state=VerificationState.VERIFIED,
        verified_until=now(session) + timedelta(days=3650),
        created_at=now(session),
        edit=1,
    )
    session.add(organisation)
    session.flush()
    return organisation.id
