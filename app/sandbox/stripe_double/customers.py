"""Customers: buyers, and the payment methods that they keep."""

from __future__ import annotations

from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import (
    LISTED,
    METADATA,
    TEXT,
    WHOLE,
    Spec,
    group,
    list_of,
    one_of,
    required,
)
from app.sandbox.stripe_double.refusals import invalid, no_such
from app.sandbox.stripe_double.world import Call, Json, World

DECLINES = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_authenticationRequired": "authentication_required",
}
"""Stripe's own test methods that are refused, with the reason."""
READY_MADE = {"pm_card_visa": "card", "pm_alipay": "alipay", "pm_wechat_pay": "wechat_pay"}

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
CUSTOMER: Spec = {
    "address": group(dict.fromkeys(ADDRESS, TEXT)),
    "description": TEXT,
    "email": TEXT,
    "metadata": METADATA,
    "name": TEXT,
    "phone": TEXT,
    "preferred_locales": list_of(TEXT),
}
METHOD: Spec = {
    "billing_details": group({"email": TEXT, "name": TEXT, "phone": TEXT}),
    "card": group({"cvc": TEXT, "exp_month": WHOLE, "exp_year": WHOLE, "token": TEXT}),
    "metadata": METADATA,
    "type": required(one_of("alipay", "card", "wechat_pay")),
}


def method_for(world: World, given: str, customer: str | None, param: str) -> Json:
    """The payment method named by a payment: kept, or one of Stripe's ready-made test methods."""
    if given in READY_MADE or given in DECLINES:
        method = new_method(world, READY_MADE.get(given, "card"), DECLINES.get(given))
        method["customer"] = customer
        return method
    method = world.find("payment_method", given, param=param)
    if method["customer"] not in (None, customer):
        raise invalid("The payment method belongs to another customer.", param=param)
    return method


def new_method(
    world: World, kind: str, decline: str | None = None, given: Json | None = None
) -> Json:
    """A new payment method; one with `decline` is refused for that reason whenever it is used."""
    details = (given or {}).get("billing_details", {})
    method: Json = {
        "id": world.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {**no_billing_details(), **details},
        "created": world.now_s(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": (given or {}).get("metadata", {}),
        "type": kind,
        kind: _card() if kind == "card" else {},
    }
    return world.add(method, decline=decline)


def no_billing_details() -> Json:
    """Billing details of which nothing is known."""
    return {
        "address": dict.fromkeys(ADDRESS),
        "email": None,
        "name": None,
        "phone": None,
        "tax_id": None,
    }


def _card() -> Json:
    return {
        "brand": "visa",
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "CN",
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": 2040,
        "fingerprint": "sandbox0sandbox0",
        "funding": "credit",
        "generated_from": None,
        "last4": "4242",
        "networks": {"available": ["visa"], "preferred": None},
        "regulated_status": None,
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _create_customer(world: World, call: Call) -> Json:
    given = call.params
    customer = {
        "id": world.new_id("cus"),
        "object": "customer",
        "address": {**dict.fromkeys(ADDRESS), **given["address"]} if "address" in given else None,
        "balance": 0,
        "created": world.now_s(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": given.get("description"),
        "discount": None,
        "email": given.get("email"),
        "invoice_prefix": world.new_id("x")[2:10].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": given.get("metadata", {}),
        "name": given.get("name"),
        "next_invoice_sequence": 1,
        "phone": given.get("phone"),
        "preferred_locales": given.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    world.add(customer)
    world.emit(call, "customer.created", customer)
    return customer


def _retrieve_customer(world: World, call: Call) -> Json:
    return world.find("customer", call.path["id"])


def _list_customers(world: World, call: Call) -> Json:
    email = call.params.get("email")
    return page(
        world, call, "customer", "/v1/customers", lambda c: email is None or c["email"] == email
    )


def _create_method(world: World, call: Call) -> Json:
    token = call.params.get("card", {}).get("token", "tok_visa")
    decline = DECLINES.get(token.replace("tok_", "pm_card_"))
    if token != "tok_visa" and decline is None:  # noqa: S105 - Stripe's name of a test card
        raise no_such("token", token, param="card[token]")
    return new_method(world, call.params["type"], decline, call.params)


def _retrieve_method(world: World, call: Call) -> Json:
    return world.find("payment_method", call.path["id"])


def _attach(world: World, call: Call) -> Json:
    customer = world.find("customer", call.params["customer"], param="customer")
    method = method_for(world, call.path["id"], customer["id"], "id")
    if method["customer"] is None:
        method["customer"] = customer["id"]
    world.emit(call, "payment_method.attached", method)
    return method


def _detach(world: World, call: Call) -> Json:
    method = world.find("payment_method", call.path["id"])
    if method["customer"] is None:
        raise invalid("The payment method is not attached to a customer.")
    method["customer"] = None
    world.emit(call, "payment_method.detached", method)
    return method


def _list_methods(world: World, call: Call) -> Json:
    wanted = {name: call.params[name] for name in ("customer", "type") if name in call.params}
    return page(
        world,
        call,
        "payment_method",
        "/v1/payment_methods",
        lambda method: all(method[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    post("/v1/customers", _create_customer, CUSTOMER),
    get("/v1/customers/{id}", _retrieve_customer),
    get("/v1/customers", _list_customers, {**LISTED, "email": TEXT}),
    post("/v1/payment_methods", _create_method, METHOD),
    get("/v1/payment_methods/{id}", _retrieve_method),
    post("/v1/payment_methods/{id}/attach", _attach, {"customer": required(TEXT)}),
    post("/v1/payment_methods/{id}/detach", _detach, {}),
    get(
        "/v1/payment_methods",
        _list_methods,
        {name: LISTED[name] for name in LISTED if name != "created"}
        | {"customer": TEXT, "type": TEXT},
    ),
)
