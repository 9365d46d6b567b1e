"""The processor, by Stripe: the only module that imports its SDK for payments.

One method is one request. Each that changes something carries an idempotency key made of our own id
and the attempt, so repeating it after any failure is safe. The SDK's own retries are off: the job
that called repeats, and remembers. What comes back is read once, in `stripe_answers.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
import stripe

from app.billing.payments.processor import (
    AccountLink,
    AccountStanding,
    BalanceEntry,
    Checkout,
    PaymentOrder,
    PaymentStanding,
    Processor,
    ProcessorNotConfigured,
    RefundMade,
    TransferMade,
    TransferOrder,
    WebhookEvent,
)
from app.billing.payments.stripe_answers import (
    errors_mapped,
    moment,
    read_account,
    read_balance_entry,
    read_checkout,
    read_payment,
    read_refund,
    read_transfer,
    text_in,
    whole_seconds,
)
from app.billing.payments.stripe_webhooks import verify_webhook
from app.kernel.ids import OrganisationId, PaymentId
from app.kernel.money import Money
from app.settings import Settings

CONNECT_TIMEOUT_S = 3.05
READ_TIMEOUT_S = 20.0
PAGE_SIZE = 100
# A payment is only whole with what the processor took for it.
WITH_FEE = "latest_charge.balance_transaction"


class StripeProcessor:
    """Stripe, or whatever speaks its wire format at `api_base`; safe to share between threads."""

    def __init__(
        self,
        secret_key: str,
        api_base: str = "",
        webhook_secrets: tuple[str, ...] = (),
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        session = requests.Session()
        # The sandbox is on this machine: no proxy of the environment may get its requests.
        session.trust_env = not _is_loopback(api_base)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else None,
            max_network_retries=0,
            http_client=stripe.RequestsClient(
                timeout=(CONNECT_TIMEOUT_S, read_timeout_s), session=session
            ),
        ).v1
        self._webhook_secrets = webhook_secrets
        self._live = secret_key.startswith(("sk_live_", "rk_live_"))

    def create_customer(self, organisation_id: OrganisationId, name: str) -> str:
        """The id of the buyer at the processor; the same for the same organisation."""
        with errors_mapped():
            customer = self._client.customers.create(
                {"name": name, "metadata": {"organisation_id": organisation_id}},
                {"idempotency_key": f"{organisation_id}:customer"},
            )
        return customer.id

    def open_checkout(self, order: PaymentOrder, success_url: str, cancel_url: str) -> Checkout:
        """A page on which the buyer pays `order`."""
        metadata: dict[str, str] = {"payment_id": order.payment_id}
        with errors_mapped():
            session = self._client.checkout.sessions.create(
                {
                    "mode": "payment",
                    "customer": order.customer,
                    "client_reference_id": order.payment_id,
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.amount.currency.lower(),
                                "unit_amount": order.amount.minor,
                                "product_data": {"name": order.description},
                            },
                        }
                    ],
                    "metadata": metadata,
                    "payment_intent_data": {
                        "description": order.description,
                        "metadata": metadata,
                        "transfer_group": order.payment_id,
                    },
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                },
                {"idempotency_key": f"{order.payment_id}:checkout:{order.attempt}"},
            )
        return read_checkout(session)

    def look_up_checkout(self, session_id: str) -> Checkout:
        """The page as it is now."""
        with errors_mapped():
            return read_checkout(self._client.checkout.sessions.retrieve(session_id))

    def expire_checkout(self, session_id: str) -> Checkout:
        """Close an open page; refused when it is not open any more."""
        with errors_mapped():
            session = self._client.checkout.sessions.expire(
                session_id, {}, {"idempotency_key": f"{session_id}:expire"}
            )
        return read_checkout(session)

    def charge_saved_method(self, order: PaymentOrder, payment_method: str) -> PaymentStanding:
        """Take `order` from a method that the buyer left with us."""
        with errors_mapped():
            intent = self._client.payment_intents.create(
                {
                    "amount": order.amount.minor,
                    "currency": order.amount.currency.lower(),
                    "customer": order.customer,
                    "payment_method": payment_method,
                    "confirm": True,
                    "off_session": True,
                    "description": order.description,
                    "metadata": {"payment_id": order.payment_id},
                    "transfer_group": order.payment_id,
                    "expand": [WITH_FEE],
                },
                {"idempotency_key": f"{order.payment_id}:charge:{order.attempt}"},
            )
        return read_payment(intent)

    def look_up_payment(self, payment_intent: str) -> PaymentStanding:
        """The payment as it is now, with its charge and fee."""
        with errors_mapped():
            intent = self._client.payment_intents.retrieve(payment_intent, {"expand": [WITH_FEE]})
        return read_payment(intent)

    def find_payments(
        self, customer: str, since: datetime, until: datetime
    ) -> Iterator[PaymentStanding]:
        """A buyer's payments begun in `[since, until)`, newest first."""
        first, end = whole_seconds(since, until)
        with errors_mapped():
            found = self._client.payment_intents.list(
                {
                    "customer": customer,
                    "created": {"gte": first, "lt": end},
                    "limit": PAGE_SIZE,
                    "expand": [f"data.{WITH_FEE}"],
                }
            )
            for intent in found.auto_paging_iter():
                yield read_payment(intent)

    def find_checkouts(self, customer: str, since: datetime, until: datetime) -> Iterator[Checkout]:
        """A buyer's checkout pages made in `[since, until)`, newest first."""
        first, end = whole_seconds(since, until)
        with errors_mapped():
            found = self._client.checkout.sessions.list(
                {"customer": customer, "created": {"gte": first, "lt": end}, "limit": PAGE_SIZE}
            )
            for session in found.auto_paging_iter():
                yield read_checkout(session)

    def refund(self, refund_id: str, charge: str, amount: Money, attempt: int = 1) -> RefundMade:
        """Give back a part or all of a charge; `refund_id` is ours."""
        with errors_mapped():
            refund = self._client.refunds.create(
                {"charge": charge, "amount": amount.minor, "metadata": {"refund_id": refund_id}},
                {"idempotency_key": f"{refund_id}:refund:{attempt}"},
            )
        return read_refund(refund)

    def transfer(self, order: TransferOrder) -> TransferMade:
        """Move a provider's share to its connected account."""
        with errors_mapped():
            transfer = self._client.transfers.create(
                {
                    "amount": order.amount.minor,
                    "currency": order.amount.currency.lower(),
                    "destination": order.destination,
                    "source_transaction": order.source_charge,
                    "transfer_group": order.payment_id,
                    "metadata": {"payout_id": order.payout_id, "payment_id": order.payment_id},
                },
                {"idempotency_key": f"{order.payout_id}:transfer:{order.attempt}"},
            )
        return read_transfer(transfer)

    def reverse_transfer(
        self, reversal_id: str, transfer: str, amount: Money, attempt: int = 1
    ) -> str:
        """Take back a part or all of a transfer; the processor's id of the reversal."""
        with errors_mapped():
            reversal = self._client.transfers.reversals.create(
                transfer,
                {"amount": amount.minor, "metadata": {"reversal_id": reversal_id}},
                {"idempotency_key": f"{reversal_id}:reversal:{attempt}"},
            )
        return reversal.id

    def find_transfers(self, payment_id: PaymentId) -> Iterator[tuple[str, TransferMade]]:
        """The transfers of a payment, each with the payout id that it was made for."""
        with errors_mapped():
            found = self._client.transfers.list({"transfer_group": payment_id, "limit": PAGE_SIZE})
            for transfer in found.auto_paging_iter():
                yield text_in(transfer.metadata, "payout_id") or "", read_transfer(transfer)

    def create_account(self, organisation_id: OrganisationId, country: str = "CN") -> str:
        """The id of the provider's connected account; the same for the same organisation."""
        with errors_mapped():
            account = self._client.accounts.create(
                {
                    # What used to be `type: express`, which is deprecated.
                    "controller": {
                        "fees": {"payer": "application"},
                        "losses": {"payments": "application"},
                        "requirement_collection": "stripe",
                        "stripe_dashboard": {"type": "express"},
                    },
                    "country": country,
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"organisation_id": organisation_id},
                },
                {"idempotency_key": f"{organisation_id}:account"},
            )
        return account.id

    def link_account(self, account: str, refresh_url: str, return_url: str) -> AccountLink:
        """A fresh link by which the provider sets its account up."""
        with errors_mapped():
            # Without a key: each visit needs a link of its own, and a spare one does no harm.
            link = self._client.account_links.create(
                {
                    "account": account,
                    "refresh_url": refresh_url,
                    "return_url": return_url,
                    "type": "account_onboarding",
                }
            )
        return AccountLink(link.url, moment(link.expires_at))

    def look_up_account(self, account: str) -> AccountStanding:
        """The connected account as it is now."""
        with errors_mapped():
            return read_account(self._client.accounts.retrieve(account))

    def list_balance_entries(self, since: datetime, until: datetime) -> Iterator[BalanceEntry]:
        """Every movement of our balance made in `[since, until)`, newest first."""
        first, end = whole_seconds(since, until)
        with errors_mapped():
            found = self._client.balance_transactions.list(
                {"created": {"gte": first, "lt": end}, "limit": PAGE_SIZE}
            )
            for entry in found.auto_paging_iter():
                yield read_balance_entry(entry)

    def verify_webhook(self, body: bytes, signature: str | None, at: datetime) -> WebhookEvent:
        """The event in a webhook; raises `WebhookRefused` for one that is forged or too old."""
        return verify_webhook(body, signature, at, self._webhook_secrets, live=self._live)


def processor_of(settings: Settings) -> Processor:
    """The processor that `settings` name; raises `ProcessorNotConfigured` when they name none."""
    if not settings.stripe_secret_key:
        raise ProcessorNotConfigured("This installation has no payment processor.")
    return _processor(
        settings.stripe_secret_key, settings.stripe_api_base, settings.stripe_webhook_secrets
    )


@lru_cache(maxsize=4)
def _processor(key: str, api_base: str, webhook_secrets: tuple[str, ...]) -> StripeProcessor:
    # Kept for its open connections.
    return StripeProcessor(key, api_base, webhook_secrets)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
