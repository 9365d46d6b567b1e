"""The processor: what we ask of it, what it answers, and how it says no; nothing of its SDK.

ProcessorRefused            it said no: repeating the request changes nothing           422
Outage
├── ProcessorUnknown        no answer: it may have happened                             503
├── ProcessorBusy           not now, and nothing was done                               503
│   └── KeyNotAccepted      our API key is wrong or lacks a right                       503
└── ProcessorNotConfigured  there is no API key                                         503
WebhookRefused              a webhook that is forged, too old or not for us (the route: 400)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from app.kernel.ids import OrganisationId, PaymentId, PayoutId
from app.kernel.money import Money
from app.kernel.refusals import Outage, RuleBroken


class ProcessorRefused(RuleBroken):
    """The processor said no: a declined card, a request it does not take. Nothing happened."""

    slug = "processor-refused"
    title = "The payment processor refused"

    def __init__(self, detail: str, code: str | None, decline_code: str | None = None) -> None:
        super().__init__(detail, code=code, decline_code=decline_code)
        self.code = code
        self.decline_code = decline_code


class ProcessorUnknown(Outage):
    """Nobody knows whether it happened: no answer, or one that says nothing.

    Repeat the identical request with the same key; where that is not `repeatable` (the key belongs
    to another request), look for what exists. Never make a new attempt before it is settled.
    """

    slug = "processor-unknown"
    title = "The payment processor did not answer"

    def __init__(self, detail: str, *, repeatable: bool = True) -> None:
        super().__init__(detail, retry_after_s=5)
        self.repeatable = repeatable


class ProcessorBusy(Outage):
    """Not now; this request did nothing. Repeat it later, with the same key."""

    slug = "processor-busy"
    title = "The payment processor is busy"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_s=5)


class KeyNotAccepted(ProcessorBusy):
    """The processor does not accept our API key: an operator's work; nothing happened."""

    slug: ClassVar[str] = "processor-key-not-accepted"
    title: ClassVar[str] = "The payment processor does not accept our key"


class ProcessorNotConfigured(Outage):
    """This installation has no payment processor."""

    slug = "processor-not-configured"
    title = "No payment processor"


class WebhookRefused(ValueError):
    """A webhook that is not to be believed or not for us; the text says why, to operators."""


class PaymentState(StrEnum):
    """How far a payment is at the processor."""

    OPEN = "open"
    """The buyer has something to do."""
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class TakenBack(StrEnum):
    """How money that had come is not ours any more, or may not stay."""

    DISPUTED = "disputed"
    REFUNDED = "refunded"
    """In whole or in part."""


class CheckoutState(StrEnum):
    """How far a checkout page is."""

    OPEN = "open"
    PROCESSING = "processing"
    """Completed by the buyer, the money is on its way."""
    PAID = "paid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """A payment to be taken. The idempotency key is our id and the attempt.

    A refusal is kept under its key for a day as an answer is: trying again after one is another
    attempt. After `ProcessorUnknown` and `ProcessorBusy` it is the same one.
    """

    payment_id: PaymentId
    amount: Money
    customer: str
    """The buyer's id at the processor."""
    description: str
    attempt: int = 1
    """Raised only when the attempt before is known to have ended without money."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page on which a buyer pays one payment."""

    session_id: str
    state: CheckoutState
    url: str | None
    """Only while it is open."""
    payment_intent: str | None
    """Only once the buyer has begun to pay."""
    payment_id: str | None
    """Ours, as we gave it."""
    amount: Money
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentStanding:
    """A payment as the processor sees it."""

    payment_intent: str
    state: PaymentState
    amount: Money
    received: Money
    payment_id: str | None
    """Ours, as we gave it."""
    charge: str | None
    fee: Money | None
    """What the processor took for it; None until there is a charge that succeeded."""
    balance_transaction: str | None
    failure_code: str | None
    """Why the last attempt did not succeed."""
    created_at: datetime
    taken_back: TakenBack | None = None


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A provider's share to be moved to its connected account."""

    payout_id: PayoutId
    amount: Money
    destination: str
    source_charge: str
    """The charge whose money it is: it need not be available yet."""
    payment_id: PaymentId
    """The group that payment and transfers share."""
    attempt: int = 1
    """As in `PaymentOrder`."""


@dataclass(frozen=True, slots=True)
class TransferMade:
    """A transfer that happened."""

    transfer: str
    amount: Money
    balance_transaction: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RefundMade:
    """A refund that was accepted; its state may still be the processor's `pending`."""

    refund: str
    amount: Money
    status: str
    balance_transaction: str | None


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """A provider's connected account."""

    account: str
    may_receive: bool
    """Whether transfers to it are taken."""
    pays_out: bool
    details_submitted: bool


@dataclass(frozen=True, slots=True)
class AccountLink:
    """Where a provider sets its account up: one visit, a few minutes."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceEntry:
    """A movement of our balance at the processor, for reconciliation; `net` = `amount` − `fee`."""

    balance_transaction: str
    kind: str
    """The processor's own word: charge, refund, transfer, payout, adjustment, …"""
    source: str | None
    amount: Money
    fee: Money
    net: Money
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event that the processor signed."""

    event_id: str
    kind: str
    created_at: datetime
    account: str | None
    """The connected account it happened on; None for our own."""
    subject: Mapping[str, Any]
    """The object as it was then: look it up where the newest state matters."""


@runtime_checkable
class Processor(Protocol):
    """What billing asks of a payment processor; each call is one request with a fixed key.

    Every method raises `ProcessorRefused`, `ProcessorUnknown` or `ProcessorBusy`, nothing else.
    """

    def create_customer(self, organisation_id: OrganisationId, name: str) -> str:
        """The id of the buyer at the processor; the same for the same organisation."""
        ...

    def open_checkout(self, order: PaymentOrder, success_url: str, cancel_url: str) -> Checkout:
        """A page on which the buyer pays `order`."""
        ...

    def look_up_checkout(self, session_id: str) -> Checkout:
        """The page as it is now."""
        ...

    def expire_checkout(self, session_id: str) -> Checkout:
        """Close an open page; refused when it is not open any more."""
        ...

    def charge_saved_method(self, order: PaymentOrder, payment_method: str) -> PaymentStanding:
        """Take `order` from a method that the buyer left with us."""
        ...

    def look_up_payment(self, payment_intent: str) -> PaymentStanding:
        """The payment as it is now, with its charge and fee."""
        ...

    def find_payments(
        self, customer: str, since: datetime, until: datetime
    ) -> Iterator[PaymentStanding]:
        """A buyer's payments begun in `[since, until)`, newest first."""
        ...

    def find_checkouts(self, customer: str, since: datetime, until: datetime) -> Iterator[Checkout]:
        """A buyer's checkout pages made in `[since, until)`, newest first."""
        ...

    def refund(self, refund_id: str, charge: str, amount: Money, attempt: int = 1) -> RefundMade:
        """Give back a part or all of a charge; `refund_id` is ours."""
        ...

    def transfer(self, order: TransferOrder) -> TransferMade:
        """Move a provider's share to its connected account."""
        ...

    def reverse_transfer(
        self, reversal_id: str, transfer: str, amount: Money, attempt: int = 1
    ) -> str:
        """Take back a part or all of a transfer; the processor's id of the reversal."""
        ...

    def find_transfers(self, payment_id: PaymentId) -> Iterator[tuple[str, TransferMade]]:
        """The transfers of a payment, each with the payout id that it was made for."""
        ...

    def create_account(self, organisation_id: OrganisationId, country: str = "CN") -> str:
        """The id of the provider's connected account; the same for the same organisation."""
        ...

    def link_account(self, account: str, refresh_url: str, return_url: str) -> AccountLink:
        """A fresh link by which the provider sets its account up."""
        ...

    def look_up_account(self, account: str) -> AccountStanding:
        """The connected account as it is now."""
        ...

    def list_balance_entries(self, since: datetime, until: datetime) -> Iterator[BalanceEntry]:
        """Every movement of our balance made in `[since, until)`, newest first."""
        ...

    def verify_webhook(self, body: bytes, signature: str | None, at: datetime) -> WebhookEvent:
        """The event in a webhook; raises `WebhookRefused` for one that is forged or too old."""
        ...
