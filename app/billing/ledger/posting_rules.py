"""Posting rules: what each event of the money's life does to the accounts.

Every function returns the postings of one transfer and touches nothing. A leg of zero is left out;
an amount is never negative: what goes the other way is debited and credited the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.billing.fees import share_paid
from app.billing.ledger.accounts import (
    ALLIANCE_FEES,
    DISPUTES_HELD,
    PROCESSOR_FEES,
    SUSPENSE_BANK,
    Account,
    Processor,
    Stage,
    clearing,
    payable,
    receivable,
    refunds_due,
)
from app.kernel.money import Money


class PostingKind(StrEnum):
    """What a leg of a transfer is."""

    NET = "net"
    VAT = "vat"
    ALLIANCE_FEE = "alliance_fee"
    PAYMENT = "payment"
    SHARE = "share"
    PROCESSOR_FEE = "processor_fee"
    PAYOUT = "payout"
    CREDIT = "credit"
    REFUND = "refund"
    DISPUTE = "dispute"
    SUSPENSE = "suspense"


@dataclass(frozen=True, slots=True)
class Posting:
    """One leg: `amount` from the credited to the debited account."""

    debit: Account
    credit: Account
    amount: Money
    kind: PostingKind


@dataclass(frozen=True, slots=True)
class Sale:
    """One invoice as the ledger sees it: who owes whom, and how the gross divides.

    `share` is the provider's part of the net; the VAT is the provider's too.
    """

    buyer_id: str
    provider_id: str
    share: Money
    vat: Money
    fee: Money

    @property
    def provider_part(self) -> Money:
        """All that goes to the provider."""
        return self.share + self.vat

    @property
    def gross(self) -> Money:
        """All that the buyer pays."""
        return self.provider_part + self.fee

    def part_of(self, paid: Money) -> Money:
        """The provider's part of what has been paid, or refunded, so far."""
        return share_paid(self.provider_part, self.fee, paid)


Postings = Sequence[Posting]


def invoice_issued(sale: Sale) -> Postings:
    """The buyer owes the gross: the provider's net and VAT, pending, and our fee."""
    owed, pending = receivable(sale.buyer_id), payable(sale.provider_id, Stage.PENDING)
    return _without_zeros(
        Posting(owed, pending, sale.share, PostingKind.NET),
        Posting(owed, pending, sale.vat, PostingKind.VAT),
        Posting(owed, ALLIANCE_FEES, sale.fee, PostingKind.ALLIANCE_FEE),
    )


def payment_received(sale: Sale, processor: Processor, paid: Money, before: Money) -> Postings:
    """The buyer paid `paid` after `before`; the provider's part of it becomes available."""
    return _without_zeros(
        Posting(clearing(processor), receivable(sale.buyer_id), paid, PostingKind.PAYMENT),
        _released(sale, paid, before),
    )


def processor_fee(processor: Processor, fee: Money) -> Postings:
    """The processor kept `fee` of what it holds; the alliance bears it."""
    return _without_zeros(
        Posting(PROCESSOR_FEES, clearing(processor), fee, PostingKind.PROCESSOR_FEE)
    )


def payout_sent(provider_id: str, processor: Processor, amount: Money) -> Postings:
    """The processor gave the provider `amount` of what was available."""
    return _without_zeros(
        Posting(
            payable(provider_id, Stage.AVAILABLE), clearing(processor), amount, PostingKind.PAYOUT
        )
    )


def refund_credited(sale: Sale, refund: Money, before: Money, stage: Stage) -> Postings:
    """A credit note of `refund` after earlier ones of `before`: both give back their part.

    `stage` is where the provider's part stands: available, or pending while nothing was paid.
    """
    theirs = sale.part_of(before + refund) - sale.part_of(before)
    due = refunds_due(sale.buyer_id)
    return _without_zeros(
        Posting(payable(sale.provider_id, stage), due, theirs, PostingKind.CREDIT),
        Posting(ALLIANCE_FEES, due, refund - theirs, PostingKind.ALLIANCE_FEE),
    )


def refund_sent(buyer_id: str, processor: Processor, refund: Money) -> Postings:
    """The processor gave the buyer its money back; its own fee stays with the alliance."""
    return _without_zeros(
        Posting(refunds_due(buyer_id), clearing(processor), refund, PostingKind.REFUND)
    )


def dispute_opened(sale: Sale, disputed: Money, fee: Money) -> Postings:
    """Stripe took `disputed` and its fee back; the provider's part is frozen."""
    stripe = clearing(Processor.STRIPE)
    return _without_zeros(
        Posting(DISPUTES_HELD, stripe, disputed, PostingKind.DISPUTE),
        Posting(PROCESSOR_FEES, stripe, fee, PostingKind.PROCESSOR_FEE),
        Posting(
            payable(sale.provider_id, Stage.AVAILABLE),
            payable(sale.provider_id, Stage.HELD),
            sale.part_of(disputed),
            PostingKind.SHARE,
        ),
    )


def dispute_won(sale: Sale, disputed: Money, fee: Money) -> Postings:
    """The mirror of `dispute_opened`; `fee` is what Stripe gave back of its own."""
    return _without_zeros(*(_mirrored(posting) for posting in dispute_opened(sale, disputed, fee)))


def dispute_lost(sale: Sale, disputed: Money) -> Postings:
    """The money stays away: the provider and the alliance each lose their part of it."""
    theirs = sale.part_of(disputed)
    return _without_zeros(
        Posting(payable(sale.provider_id, Stage.HELD), DISPUTES_HELD, theirs, PostingKind.DISPUTE),
        Posting(ALLIANCE_FEES, DISPUTES_HELD, disputed - theirs, PostingKind.DISPUTE),
    )


def bank_money_unmatched(amount: Money) -> Postings:
    """Money came by bank without a reference that we know."""
    return _without_zeros(
        Posting(clearing(Processor.BANK), SUSPENSE_BANK, amount, PostingKind.SUSPENSE)
    )


def bank_money_matched(sale: Sale, amount: Money, before: Money) -> Postings:
    """Money that lay in suspense turns out to pay this sale."""
    return _without_zeros(
        Posting(SUSPENSE_BANK, receivable(sale.buyer_id), amount, PostingKind.PAYMENT),
        _released(sale, amount, before),
    )


def _released(sale: Sale, paid: Money, before: Money) -> Posting:
    return Posting(
        payable(sale.provider_id, Stage.PENDING),
        payable(sale.provider_id, Stage.AVAILABLE),
        sale.part_of(before + paid) - sale.part_of(before),
        PostingKind.SHARE,
    )


def _mirrored(posting: Posting) -> Posting:
    return Posting(posting.credit, posting.debit, posting.amount, posting.kind)


def _without_zeros(*postings: Posting) -> Postings:
    return tuple(posting for posting in postings if posting.amount.minor)
