"""Small stories on the double, told through the SDK."""

from __future__ import annotations

from typing import Any

from stripe import Account, Charge, PaymentIntent

from app.sandbox.stripe_double.running import RunningDouble

Api = Any
"""`StripeClient.v1`, whose services are found at run time."""


def paid(api: Api, amount: int = 10_600, **more: Any) -> PaymentIntent:
    """A payment that succeeded, with its charge and balance transaction inside."""
    return api.payment_intents.create(
        {
            "amount": amount,
            "currency": "cny",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "expand": ["latest_charge.balance_transaction"],
            **more,
        }
    )


def charged(api: Api, amount: int = 10_600, **more: Any) -> Charge:
    """The charge of such a payment."""
    charge = paid(api, amount, **more).latest_charge
    assert isinstance(charge, Charge)
    return charge


def connected(api: Api, double: RunningDouble) -> Account:
    """An Express account that may receive transfers."""
    account = api.accounts.create(
        {
            "controller": {"stripe_dashboard": {"type": "express"}},
            "capabilities": {"transfers": {"requested": True}},
        }
    )
    double.onboard(account.id)
    return account


def checkout(api: Api, amount: int = 10_600, **more: Any) -> Any:
    """An open checkout session."""
    return api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "cny",
                        "unit_amount": amount,
                        "product_data": {"name": "智谷 invoice <1>"},
                    },
                }
            ],
            "success_url": "http://127.0.0.1:1/paid?session={CHECKOUT_SESSION_ID}",
            **more,
        }
    )


def held(api: Api, account: str | None = None) -> int:
    """What a balance has available in CNY."""
    balance = api.balance.retrieve({}, {"stripe_account": account} if account else {})
    return int(balance.available[0].amount)
