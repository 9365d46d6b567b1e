"""Checkout sessions: a page on which a buyer pays, once, before it expires."""

from __future__ import annotations

from app.sandbox.stripe_double.customers import new_method
from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import (
    AMOUNT,
    CURRENCY,
    LISTED,
    MAX_AMOUNT,
    METADATA,
    TEXT,
    URL,
    WHOLE,
    Spec,
    group,
    list_of,
    one_of,
    required,
)
from app.sandbox.stripe_double.payment_intents import METHOD_TYPES, confirm_intent, new_intent
from app.sandbox.stripe_double.refusals import invalid, too_late
from app.sandbox.stripe_double.world import Call, Json, World

LIFE_S = 24 * 3600
SHORTEST_LIFE_S = 30 * 60

UNSET = (
    "after_expiration",
    "allow_promotion_codes",
    "billing_address_collection",
    "client_secret",
    "collected_information",
    "consent",
    "consent_collection",
    "currency_conversion",
    "customer_account",
    "customer_creation",
    "customer_details",
    "discounts",
    "integration_identifier",
    "invoice",
    "invoice_creation",
    "origin_context",
    "payment_intent",
    "payment_link",
    "payment_method_configuration_details",
    "permissions",
    "recovered_from",
    "saved_payment_method_options",
    "setup_intent",
    "shipping_address_collection",
    "shipping_cost",
    "subscription",
    "wallet_options",
)
"""What a session of ours never has."""

CREATE: Spec = {
    "allowed_payment_method_types": list_of(TEXT),
    "cancel_url": URL,
    "client_reference_id": TEXT,
    "customer": TEXT,
    "customer_email": TEXT,
    "expires_at": WHOLE,
    "line_items": required(
        list_of(
            group(
                {
                    "price_data": required(
                        group(
                            {
                                "currency": required(CURRENCY),
                                "product_data": required(
                                    group(
                                        {
                                            "description": TEXT,
                                            "metadata": METADATA,
                                            "name": required(TEXT),
                                        }
                                    )
                                ),
                                "unit_amount": required(AMOUNT),
                            }
                        )
                    ),
                    "quantity": required(WHOLE),
                }
            )
        )
    ),
    "locale": TEXT,
    "metadata": METADATA,
    "mode": required(one_of("payment")),
    "payment_intent_data": group(
        {
            "description": TEXT,
            "metadata": METADATA,
            "receipt_email": TEXT,
            "setup_future_usage": one_of("off_session", "on_session"),
            "statement_descriptor_suffix": TEXT,
            "transfer_group": TEXT,
        }
    ),
    "submit_type": one_of("auto", "pay"),
    "success_url": required(URL),
    "ui_mode": one_of("hosted_page"),
}


def complete_session(world: World, session: Json, decline: str | None = None) -> Json:
    """What the buyer does on the page: pay, or be `declined` (the page stays open then)."""
    call = Call()
    if session["status"] == "complete":
        return session
    _demand_open(world, session)
    hidden = world.hidden_of(session)
    if "intent" not in hidden:
        hidden["intent"] = new_intent(world, call, _intent_of(session, hidden))["id"]
    intent = world.find("payment_intent", hidden["intent"])
    method = new_method(world, "card", decline)
    confirm_intent(world, call, intent, method)
    session |= {
        "customer_details": {**_nobody(), "email": session["customer_email"]},
        "payment_intent": intent["id"],
        "payment_status": "paid",
        "status": "complete",
        "url": None,
    }
    world.emit(call, "checkout.session.completed", session)
    return session


def find_session(world: World, session_id: str) -> Json:
    """The session with this id, expired if its time has come."""
    return _refreshed(world, world.find("checkout.session", session_id))


def lines_of(world: World, session: Json) -> list[Json]:
    """What the page shows: name, amount and quantity of each line."""
    return list(world.hidden_of(session)["lines"])


def _refreshed(world: World, session: Json) -> Json:
    if session["status"] == "open" and session["expires_at"] <= world.now_s():
        _expire_now(world, Call(), session)
    elif session["status"] == "open":
        # After a restart the double may listen elsewhere.
        session["url"] = f"{world.base_url}/pay/{session['id']}"
    return session


def _create(world: World, call: Call) -> Json:
    given = call.params
    lines = given["line_items"]
    currencies = {line["price_data"]["currency"] for line in lines}
    if len(currencies) != 1 or min(line["quantity"] for line in lines) < 1:
        raise invalid("Line items have one currency and a quantity each.", param="line_items")
    total = sum(line["price_data"]["unit_amount"] * line["quantity"] for line in lines)
    if total > MAX_AMOUNT:
        raise invalid("The total is more than 999,999.99.", "line_items", "amount_too_large")
    if "customer" in given:
        world.find("customer", given["customer"], param="customer")
    now = world.now_s()
    expires_at = given.get("expires_at", now + LIFE_S)
    if not now + SHORTEST_LIFE_S <= expires_at <= now + LIFE_S:
        raise invalid("expires_at is 30 minutes to 24 hours from now.", param="expires_at")
    session = _new_session(world, given, currencies.pop(), total)
    session["expires_at"] = expires_at
    return world.add(session, lines=lines, intent_data=given.get("payment_intent_data", {}))


def _new_session(world: World, given: Json, currency: str, total: int) -> Json:
    session_id = world.new_id("cs_test")
    echoed = ("cancel_url", "client_reference_id", "customer", "customer_email", "locale")
    words = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
    return {
        **dict.fromkeys(UNSET),
        **{name: given.get(name) for name in (*echoed, "submit_type")},
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": world.now_s(),
        "currency": currency,
        "custom_fields": [],
        "custom_text": dict.fromkeys(words),
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": given.get("metadata", {}),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": given.get("allowed_payment_method_types", METHOD_TYPES),
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{world.base_url}/pay/{session_id}",
    }


def _intent_of(session: Json, hidden: Json) -> Json:
    given = {"amount": session["amount_total"], "currency": session["currency"]}
    if session["customer"]:
        given["customer"] = session["customer"]
    return {**given, **hidden["intent_data"]}


def _nobody() -> Json:
    names = ("address", "business_name", "individual_name", "name", "phone", "tax_ids")
    return {**dict.fromkeys(names), "tax_exempt": "none"}


def _demand_open(world: World, session: Json) -> None:
    if session["status"] != "open":
        raise too_late(
            f"Only open sessions can do this; this one is {session['status']}.",
            "resource_already_exists" if session["status"] == "complete" else "session_expired",
        )


def _expire_now(world: World, call: Call, session: Json) -> None:
    session |= {"status": "expired", "url": None}
    world.emit(call, "checkout.session.expired", session)


def _expire(world: World, call: Call) -> Json:
    session = find_session(world, call.path["id"])
    _demand_open(world, session)
    _expire_now(world, call, session)
    return session


def _retrieve(world: World, call: Call) -> Json:
    return find_session(world, call.path["id"])


def _list(world: World, call: Call) -> Json:
    names = ("customer", "payment_intent", "status")
    wanted = {name: call.params[name] for name in names if name in call.params}
    for session in list(world.all_of("checkout.session")):
        _refreshed(world, session)
    return page(
        world,
        call,
        "checkout.session",
        "/v1/checkout/sessions",
        lambda session: all(session[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    post("/v1/checkout/sessions", _create, CREATE),
    get("/v1/checkout/sessions/{id}", _retrieve),
    post("/v1/checkout/sessions/{id}/expire", _expire, {}),
    get(
        "/v1/checkout/sessions",
        _list,
        {
            **LISTED,
            "customer": TEXT,
            "payment_intent": TEXT,
            "status": one_of("open", "complete", "expired"),
        },
    ),
)
