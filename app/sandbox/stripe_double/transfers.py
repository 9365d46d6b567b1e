"""Transfers: money from the platform's balance to a connected account's, and back (reversals)."""

from __future__ import annotations

from app.sandbox.stripe_double.accounts import is_onboarded
from app.sandbox.stripe_double.balances import Movement, book, demand_funds
from app.sandbox.stripe_double.charges import new_charge, settle
from app.sandbox.stripe_double.listing import page, whole_list
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import (
    AMOUNT,
    CURRENCY,
    LISTED,
    METADATA,
    TEXT,
    Spec,
    one_of,
    required,
)
from app.sandbox.stripe_double.refusals import invalid, no_such, too_late
from app.sandbox.stripe_double.world import PLATFORM, Call, Json, World

CREATE: Spec = {
    "amount": required(AMOUNT),
    "currency": required(CURRENCY),
    "description": TEXT,
    "destination": required(TEXT),
    "metadata": METADATA,
    "source_transaction": TEXT,
    "source_type": one_of("card"),
    "transfer_group": TEXT,
}
REVERSE: Spec = {"amount": AMOUNT, "description": TEXT, "metadata": METADATA}


def _create(world: World, call: Call) -> Json:
    given = call.params
    destination = world.find("account", given["destination"], param="destination")
    if not is_onboarded(destination):
        raise too_late(
            "Your destination account needs to have the transfers capability enabled.",
            "insufficient_capabilities_for_transfer",
        )
    source = _source(world, given)
    # A transfer from one charge may be made before that charge's money is available.
    demand_funds(world, PLATFORM, given["amount"], given["currency"], pending=source is not None)
    transfer = world.add(_new_transfer(world, call, source))
    movement = Movement(
        "transfer",
        -given["amount"],
        given["currency"],
        transfer["id"],
        given.get("description"),
        available_on=_available_on(world, source),
    )
    transfer["balance_transaction"] = book(world, movement)
    arrival = new_charge(world, given["amount"], given["currency"], prefix="py")
    arrival |= {"source_transfer": transfer["id"], "transfer_group": transfer["transfer_group"]}
    world.add(arrival, owner=destination["id"])
    settle(world, arrival, "payment")
    transfer["destination_payment"] = arrival["id"]
    world.emit(call, "transfer.created", transfer)
    return transfer


def _source(world: World, given: Json) -> Json | None:
    if "source_transaction" not in given:
        return None
    source = world.find("charge", given["source_transaction"], param="source_transaction")
    if source["currency"] != given["currency"]:
        raise invalid("The currency of the source transaction differs.", param="currency")
    if source["status"] != "succeeded":
        raise too_late("The source charge did not succeed.", "charge_not_transferable")
    used = sum(
        transfer["amount"] - transfer["amount_reversed"]
        for transfer in world.all_of("transfer")
        if transfer["source_transaction"] == source["id"]
    )
    if used + given["amount"] > source["amount"]:
        raise too_late(
            "Transfers using this transaction as a source must not exceed the source amount of "
            f"{source['amount']} (there is {source['amount'] - used} left).",
            "amount_too_large",
            param="amount",
        )
    return source


def _available_on(world: World, source: Json | None) -> int | None:
    if source is None:
        return None
    return int(world.find("balance_transaction", source["balance_transaction"])["available_on"])


def _new_transfer(world: World, call: Call, source: Json | None) -> Json:
    given = call.params
    transfer_id = world.new_id("tr")
    group = given.get("transfer_group") or (source or {}).get("transfer_group")
    return {
        "id": transfer_id,
        "object": "transfer",
        "amount": given["amount"],
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": world.now_s(),
        "currency": given["currency"],
        "description": given.get("description"),
        "destination": given["destination"],
        "destination_payment": None,
        "livemode": False,
        "metadata": given.get("metadata", {}),
        "reversals": whole_list(f"/v1/transfers/{transfer_id}/reversals", []),
        "reversed": False,
        "source_transaction": given.get("source_transaction"),
        "source_type": "card",
        "transfer_group": group,
    }


def _retrieve(world: World, call: Call) -> Json:
    return world.find("transfer", call.path["id"])


def _list(world: World, call: Call) -> Json:
    wanted = {n: call.params[n] for n in ("destination", "transfer_group") if n in call.params}
    return page(
        world,
        call,
        "transfer",
        "/v1/transfers",
        lambda transfer: all(transfer[name] == value for name, value in wanted.items()),
    )


def _reverse(world: World, call: Call) -> Json:
    transfer = world.find("transfer", call.path["id"])
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = call.params.get("amount", left)
    if left == 0 or amount > left:
        raise too_late(
            f"The transfer has {left} left to be reversed.",
            "transfer_already_reversed" if left == 0 else "amount_too_large",
            param="amount",
        )
    account = transfer["destination"]
    demand_funds(world, account, amount, transfer["currency"], pending=True)
    reversal: Json = {
        "id": world.new_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": world.now_s(),
        "currency": transfer["currency"],
        "destination_payment_refund": None,
        "metadata": call.params.get("metadata", {}),
        "source_refund": None,
        "transfer": transfer["id"],
    }
    world.add(reversal)
    back = Movement("transfer_refund", amount, transfer["currency"], reversal["id"])
    reversal["balance_transaction"] = book(world, back)
    taken = Movement("payment_refund", -amount, transfer["currency"], reversal["id"])
    book(world, taken, account)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, reversal)
    world.emit(call, "transfer.reversed", transfer)
    return reversal


def _retrieve_reversal(world: World, call: Call) -> Json:
    reversal = world.find("transfer_reversal", call.path["reversal"])
    if reversal["transfer"] != call.path["id"]:
        raise no_such("transfer_reversal", call.path["reversal"])
    return reversal


def _list_reversals(world: World, call: Call) -> Json:
    transfer = world.find("transfer", call.path["id"])
    return page(
        world,
        call,
        "transfer_reversal",
        f"/v1/transfers/{transfer['id']}/reversals",
        lambda reversal: bool(reversal["transfer"] == transfer["id"]),
    )


OPERATIONS = (
    post("/v1/transfers", _create, CREATE),
    get("/v1/transfers/{id}", _retrieve),
    get("/v1/transfers", _list, {**LISTED, "destination": TEXT, "transfer_group": TEXT}),
    post("/v1/transfers/{id}/reversals", _reverse, REVERSE),
    get("/v1/transfers/{id}/reversals/{reversal}", _retrieve_reversal),
    get(
        "/v1/transfers/{id}/reversals",
        _list_reversals,
        {name: LISTED[name] for name in LISTED if name != "created"},
    ),
)
