"""How billing says no.

Refusal
├── Malformed                  a period, signature or body that cannot be read   400
│   └── WebhookForged          the signature does not hold                       400
├── StepNotAllowed
│   ├── StepRefused            the state forbids it                              409
│   ├── PeriodOpen             the month is not over                             409
│   └── PaymentOpen            another payment of the invoice is under way       409
└── RuleBroken
    ├── MethodNotOffered       that way of paying is not offered yet             422
    └── AmountNotOwed          more than is owed, or in another currency         422
Outage                         `payments/processor.py` has the processor's own
"""

from __future__ import annotations

from app.kernel.refusals import Malformed, RuleBroken, StepNotAllowed


class WebhookForged(Malformed):
    """The signature of a webhook does not hold."""

    slug = "webhook-forged"
    title = "Signature does not hold"


class StepRefused(StepNotAllowed):
    """The state of the invoice, payment or payout forbids this step."""


class PeriodOpen(StepNotAllowed):
    """The month is not over."""

    slug = "period-open"
    title = "The period is still open"


class PaymentOpen(StepNotAllowed):
    """Another payment of this invoice is under way."""

    slug = "payment-open"
    title = "A payment is under way"


class MethodNotOffered(RuleBroken):
    """That way of paying is not offered yet."""

    slug = "method-not-offered"
    title = "Method not offered"


class AmountNotOwed(RuleBroken):
    """More than is owed, or in another currency."""

    slug = "amount-not-owed"
    title = "Not what is owed"
