"""Charges: the attempts to take a buyer's money for a payment intent."""

from __future__ import annotations

from app.sandbox.stripe_double.balances import Movement, book
from app.sandbox.stripe_double.customers import no_billing_details
from app.sandbox.stripe_double.listing import page, whole_list
from app.sandbox.stripe_double.operation import get
from app.sandbox.stripe_double.parameters import LISTED, TEXT
from app.sandbox.stripe_double.world import Call, Json, World

_CARD_FACTS = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding")


def charge_intent(world: World, call: Call, intent: Json, method: Json) -> Json:
    """The charge of an intent by a payment method: succeeded and booked, or failed."""
    charge = new_charge(world, intent["amount"], intent["currency"])
    decline = world.hidden_of(method).get("decline")
    charge |= {
        "billing_details": method["billing_details"],
        "customer": intent["customer"],
        "description": intent["description"],
        "metadata": dict(intent["metadata"]),
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _method_details(method),
        "transfer_group": intent["transfer_group"] or f"group_{intent['id']}",
    }
    world.add(charge)
    if decline:
        charge |= {
            "failure_code": "card_declined",
            "failure_message": "Your card was declined.",
            "outcome": _outcome(decline),
            "paid": False,
            "status": "failed",
        }
        world.emit(call, "charge.failed", charge)
        return charge
    settle(world, charge, "charge")
    world.emit(call, "charge.succeeded", charge)
    return charge


def settle(world: World, charge: Json, kind: str) -> None:
    """Book a charge that succeeded to its owner's balance; only the platform pays a fee."""
    owner = world.owner_of(charge)
    fee = 0 if owner else world.rules.fee_of(charge["amount"], charge["metadata"])
    movement = Movement(
        kind,
        charge["amount"],
        charge["currency"],
        charge["id"],
        charge["description"],
        fee=fee,
        available_on=world.now_s() + world.rules.settle_after_s,
    )
    charge["amount_captured"] = charge["amount"]
    charge["captured"] = True
    charge["balance_transaction"] = book(world, movement, owner)


def new_charge(world: World, amount: int, currency: str, prefix: str = "ch") -> Json:
    """A charge of which nothing but the amount is known."""
    charge: Json = {
        "id": world.new_id(prefix),
        "object": "charge",
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": no_billing_details(),
        "calculated_statement_descriptor": "ZHIGU SANDBOX",
        "captured": False,
        "created": world.now_s(),
        "currency": currency,
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": _outcome(None),
        "paid": True,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "refunds": {},
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }
    charge["refunds"] = whole_list(f"/v1/charges/{charge['id']}/refunds", [])
    return charge


def _outcome(decline: str | None) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": decline,
        "seller_message": "Payment complete." if decline is None else "Declined by the sandbox.",
        "type": "authorized" if decline is None else "issuer_declined",
    }


def _method_details(method: Json) -> Json:
    kind = method["type"]
    if kind != "card":
        return {"type": kind, kind: {}}
    facts = {name: method["card"][name] for name in _CARD_FACTS}
    nothing = ("amount_authorized", "authorization_code", "mandate", "three_d_secure", "wallet")
    more = {"last4": method["card"]["last4"], "network": "visa", "regulated_status": None}
    return {"type": "card", "card": {**facts, **dict.fromkeys(nothing), **more}}


def _retrieve(world: World, call: Call) -> Json:
    return world.find("charge", call.path["id"], call.account)


def _list(world: World, call: Call) -> Json:
    names = ("customer", "payment_intent", "transfer_group")
    wanted = {name: call.params[name] for name in names if name in call.params}
    return page(
        world,
        call,
        "charge",
        "/v1/charges",
        lambda charge: all(charge[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    get("/v1/charges/{id}", _retrieve),
    get(
        "/v1/charges",
        _list,
        {**LISTED, "customer": TEXT, "payment_intent": TEXT, "transfer_group": TEXT},
    ),
)
