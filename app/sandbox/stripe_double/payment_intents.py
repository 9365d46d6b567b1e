"""Payment intents: from `requires_payment_method` to `succeeded` or `canceled`."""

from __future__ import annotations

import secrets

from app.sandbox.stripe_double.charges import charge_intent
from app.sandbox.stripe_double.customers import method_for
from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import (
    AMOUNT,
    CURRENCY,
    FLAG,
    LISTED,
    METADATA,
    TEXT,
    URL,
    Spec,
    group,
    list_of,
    one_of,
    required,
)
from app.sandbox.stripe_double.refusals import declined, invalid, too_late
from app.sandbox.stripe_double.world import Call, Json, World

METHOD_TYPES = ["card", "alipay", "wechat_pay"]
OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})

CONFIRM: Spec = {
    "off_session": FLAG,
    "payment_method": TEXT,
    "receipt_email": TEXT,
    "return_url": URL,
}
CREATE: Spec = {
    **CONFIRM,
    "allowed_payment_method_types": list_of(TEXT),
    "amount": required(AMOUNT),
    "automatic_payment_methods": group(
        {"allow_redirects": one_of("always", "never"), "enabled": required(FLAG)}
    ),
    "capture_method": one_of("automatic", "automatic_async"),
    "confirm": FLAG,
    "currency": required(CURRENCY),
    "customer": TEXT,
    "description": TEXT,
    "metadata": METADATA,
    "setup_future_usage": one_of("off_session", "on_session"),
    "statement_descriptor_suffix": TEXT,
    "transfer_group": TEXT,
}
CANCEL: Spec = {
    "cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")
}


def new_intent(world: World, call: Call, given: Json) -> Json:
    """A payment intent that waits for a payment method or a confirmation."""
    intent_id = world.new_id("pi")
    intent = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": given["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": given.get("capture_method", "automatic"),
        "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": world.now_s(),
        "currency": given["currency"],
        "customer": given.get("customer"),
        "customer_account": None,
        "description": given.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": given.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": given.get("allowed_payment_method_types", METHOD_TYPES),
        "processing": None,
        "receipt_email": given.get("receipt_email"),
        "review": None,
        "setup_future_usage": given.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": given.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": given.get("transfer_group"),
    }
    world.add(intent)
    world.emit(call, "payment_intent.created", intent)
    return intent


def confirm_intent(world: World, call: Call, intent: Json, method: Json) -> Json:
    """Charge the method; raises the card's refusal, after which another method may be tried."""
    charge = charge_intent(world, call, intent, method)
    intent["latest_charge"] = charge["id"]
    if charge["status"] == "failed":
        intent["status"] = "requires_payment_method"
        decline = charge["outcome"]["reason"]
        refusal = declined(decline, dict(intent), charge["id"])
        intent["last_payment_error"] = {
            name: refusal.error[name] for name in ("type", "code", "decline_code", "message")
        }
        world.emit(call, "payment_intent.payment_failed", intent)
        raise refusal
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "payment_method": method["id"],
        "status": "succeeded",
    }
    world.emit(call, "payment_intent.succeeded", intent)
    return intent


def _create(world: World, call: Call) -> Json:
    given = call.params
    if given.get("off_session") and not given.get("confirm"):
        raise invalid("off_session needs confirm=true.", param="off_session")
    if given.get("confirm") and "payment_method" not in given:
        raise invalid("A payment method is needed to confirm.", param="payment_method")
    if "customer" in given:
        world.find("customer", given["customer"], param="customer")
    method = _method(world, given)
    intent = new_intent(world, call, given)
    if method is None:
        return intent
    intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return confirm_intent(world, call, intent, method) if given.get("confirm") else intent


def _confirm(world: World, call: Call) -> Json:
    intent = world.find("payment_intent", call.path["id"])
    _demand_open(intent, "confirm")
    given = {"payment_method": intent["payment_method"], "customer": intent["customer"]}
    method = _method(world, {**given, **call.params})
    if method is None:
        raise invalid("A payment method is needed to confirm.", param="payment_method")
    return confirm_intent(world, call, intent, method)


def _cancel(world: World, call: Call) -> Json:
    intent = world.find("payment_intent", call.path["id"])
    _demand_open(intent, "cancel")
    intent |= {
        "canceled_at": world.now_s(),
        "cancellation_reason": call.params.get("cancellation_reason"),
        "status": "canceled",
    }
    world.emit(call, "payment_intent.canceled", intent)
    return intent


def _method(world: World, given: Json) -> Json | None:
    if not given.get("payment_method"):
        return None
    return method_for(world, given["payment_method"], given.get("customer"), "payment_method")


def _demand_open(intent: Json, verb: str) -> None:
    if intent["status"] not in OPEN:
        raise too_late(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            "payment_intent_unexpected_state",
            payment_intent=dict(intent),
        )


def _retrieve(world: World, call: Call) -> Json:
    return world.find("payment_intent", call.path["id"])


def _list(world: World, call: Call) -> Json:
    customer = call.params.get("customer")
    return page(
        world,
        call,
        "payment_intent",
        "/v1/payment_intents",
        lambda intent: customer is None or intent["customer"] == customer,
    )


OPERATIONS = (
    post("/v1/payment_intents", _create, CREATE),
    get("/v1/payment_intents/{id}", _retrieve, {"client_secret": TEXT}),
    post("/v1/payment_intents/{id}/confirm", _confirm, CONFIRM),
    post("/v1/payment_intents/{id}/cancel", _cancel, CANCEL),
    get("/v1/payment_intents", _list, {**LISTED, "customer": TEXT}),
)
