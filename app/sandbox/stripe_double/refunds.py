"""Refunds: a buyer's money back, in whole or in part; the processing fee is not returned."""

from __future__ import annotations

from app.sandbox.stripe_double.balances import Movement, book, demand_funds
from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import AMOUNT, LISTED, METADATA, TEXT, Spec, one_of
from app.sandbox.stripe_double.refusals import invalid, too_late
from app.sandbox.stripe_double.world import Call, Json, World

CREATE: Spec = {
    "amount": AMOUNT,
    "charge": TEXT,
    "metadata": METADATA,
    "payment_intent": TEXT,
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
}


def _create(world: World, call: Call) -> Json:
    charge = _charge_of(world, call.params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["disputed"]:
        raise too_late("The charge is disputed.", "charge_disputed", param="charge")
    if left == 0:
        raise too_late(
            f"Charge {charge['id']} has already been refunded.", "charge_already_refunded"
        )
    amount = call.params.get("amount", left)
    if amount > left:
        raise too_late(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
            "amount_too_large",
            param="amount",
        )
    demand_funds(world, "", amount, charge["currency"], pending=True)
    refund = world.add(_new_refund(world, call, charge, amount))
    movement = Movement("refund", -amount, charge["currency"], refund["id"], "REFUND FOR CHARGE")
    refund["balance_transaction"] = book(world, movement)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    charge["refunds"]["data"].insert(0, refund)
    world.emit(call, "refund.created", refund)
    world.emit(call, "charge.refunded", charge)
    return refund


def _new_refund(world: World, call: Call, charge: Json, amount: int) -> Json:
    return {
        "id": world.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": world.now_s(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": call.params.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": call.params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def _charge_of(world: World, given: Json) -> Json:
    if ("charge" in given) == ("payment_intent" in given):
        raise invalid("Give one of charge and payment_intent.", param="charge")
    if "charge" in given:
        charge_id, param = given["charge"], "charge"
    else:
        param = "payment_intent"
        intent = world.find("payment_intent", given["payment_intent"], param=param)
        charge_id = intent["latest_charge"] or ""
    charge = world.find("charge", charge_id, param=param)
    if charge["status"] != "succeeded":
        raise too_late("This charge did not succeed.", "charge_not_refundable", param=param)
    return charge


def _retrieve(world: World, call: Call) -> Json:
    return world.find("refund", call.path["id"])


def _list(world: World, call: Call) -> Json:
    wanted = {n: call.params[n] for n in ("charge", "payment_intent") if n in call.params}
    return page(
        world,
        call,
        "refund",
        "/v1/refunds",
        lambda refund: all(refund[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    post("/v1/refunds", _create, CREATE),
    get("/v1/refunds/{id}", _retrieve),
    get("/v1/refunds", _list, {**LISTED, "charge": TEXT, "payment_intent": TEXT}),
)
