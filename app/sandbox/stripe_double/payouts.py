"""Payouts: from a balance, the platform's or a connected account's, to its bank."""

from __future__ import annotations

from app.sandbox.stripe_double.balances import Movement, book, demand_funds, held
from app.sandbox.stripe_double.listing import page
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
from app.sandbox.stripe_double.refusals import too_late
from app.sandbox.stripe_double.world import Call, Json, World

ARRIVES_AFTER_S = 2 * 24 * 3600

CREATE: Spec = {
    "amount": required(AMOUNT),
    "currency": required(CURRENCY),
    "description": TEXT,
    "metadata": METADATA,
    "method": one_of("instant", "standard"),
    "statement_descriptor": TEXT,
}


def settle_payout(world: World, payout: Json, outcome: str) -> Json:
    """What the bank does with a payout: it arrives (`paid`), or comes back (`failed`)."""
    owner = world.owner_of(payout)
    if payout["status"] not in ("pending", "in_transit"):
        return payout
    if outcome == "paid":
        payout["status"] = "paid"
    else:
        back = Movement("payout_failure", payout["amount"], payout["currency"], payout["id"])
        payout |= {
            "status": "failed",
            "failure_balance_transaction": book(world, back, owner),
            "failure_code": "account_closed",
            "failure_message": "The bank account has been closed.",
        }
    world.emit(Call(), f"payout.{payout['status']}", payout, owner)
    return payout


def pay_out_all(world: World, account: str, currency: str) -> Json:
    """The automatic payout of everything that a connected account has available."""
    amount, _ = held(world, account, currency)
    call = Call(params={"amount": max(amount, 1), "currency": currency}, account=account)
    return _pay_out(world, call, automatic=True)


def _create(world: World, call: Call) -> Json:
    return _pay_out(world, call, automatic=False)


def _pay_out(world: World, call: Call, *, automatic: bool) -> Json:
    given = call.params
    demand_funds(world, call.account, given["amount"], given["currency"], pending=False)
    payout: Json = {
        "id": world.new_id("po"),
        "object": "payout",
        "amount": given["amount"],
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": world.now_s() + ARRIVES_AFTER_S,
        "automatic": automatic,
        "balance_transaction": None,
        "created": world.now_s(),
        "currency": given["currency"],
        "description": given.get("description", "STRIPE PAYOUT"),
        "destination": "ba_sandbox",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": given.get("metadata", {}),
        "method": given.get("method", "standard"),
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": given.get("statement_descriptor"),
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }
    world.add(payout, call.account)
    gone = Movement("payout", -given["amount"], given["currency"], payout["id"], "STRIPE PAYOUT")
    payout["balance_transaction"] = book(world, gone, call.account)
    world.emit(call, "payout.created", payout, call.account)
    return payout


def _cancel(world: World, call: Call) -> Json:
    payout = world.find("payout", call.path["id"], call.account)
    if payout["status"] != "pending":
        raise too_late("Only a pending payout can be canceled.", "payout_not_cancelable")
    back = Movement("payout_cancel", payout["amount"], payout["currency"], payout["id"])
    payout |= {"status": "canceled", "failure_balance_transaction": book(world, back, call.account)}
    world.emit(call, "payout.canceled", payout, call.account)
    return payout


def _retrieve(world: World, call: Call) -> Json:
    return world.find("payout", call.path["id"], call.account)


def _list(world: World, call: Call) -> Json:
    status = call.params.get("status")
    return page(
        world,
        call,
        "payout",
        "/v1/payouts",
        lambda payout: status is None or payout["status"] == status,
    )


OPERATIONS = (
    post("/v1/payouts", _create, CREATE),
    get("/v1/payouts/{id}", _retrieve),
    post("/v1/payouts/{id}/cancel", _cancel, {}),
    get("/v1/payouts", _list, {**LISTED, "status": TEXT}),
)
