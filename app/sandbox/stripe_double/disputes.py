"""Disputes: a buyer's bank takes the money back, until somebody has won."""

from __future__ import annotations

from app.sandbox.stripe_double.balances import Movement, book
from app.sandbox.stripe_double.listing import page
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import FLAG, LISTED, METADATA, TEXT, Spec, group
from app.sandbox.stripe_double.refusals import invalid, too_late
from app.sandbox.stripe_double.world import Call, Json, World

ANSWER_WITHIN_S = 9 * 24 * 3600
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
UPDATE: Spec = {
    "evidence": group(dict.fromkeys(EVIDENCE, TEXT)),
    "metadata": METADATA,
    "submit": FLAG,
}
CLOSED = frozenset({"won", "lost"})


def open_dispute(world: World, charge: Json, reason: str = "general") -> Json:
    """A buyer disputes a charge: what is not refunded of it leaves the balance, and a fee."""
    amount = charge["amount_captured"] - charge["amount_refunded"]
    if charge["disputed"] or amount <= 0:
        raise invalid("There is nothing to dispute.", param="charge")
    dispute = world.add(_new_dispute(world, charge, amount, reason))
    fee = world.rules.dispute_fee_minor
    taken = Movement("adjustment", -amount, charge["currency"], dispute["id"], "Dispute", fee=fee)
    _book(world, dispute, taken)
    charge["disputed"] = True
    world.emit(Call(), "charge.dispute.created", dispute)
    world.emit(Call(), "charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(world: World, dispute: Json, outcome: str) -> Json:
    """The bank decides: `won` brings the money back (not the fee), `lost` keeps it."""
    if dispute["status"] in CLOSED:
        return dispute
    dispute["status"] = outcome
    if outcome == "won":
        back = Movement(
            "adjustment",
            dispute["amount"],
            dispute["currency"],
            dispute["id"],
            "Dispute won",
            category="dispute_reversal",
        )
        _book(world, dispute, back)
        world.find("charge", dispute["charge"])["disputed"] = False
        world.emit(Call(), "charge.dispute.funds_reinstated", dispute)
    world.emit(Call(), "charge.dispute.closed", dispute)
    return dispute


def _book(world: World, dispute: Json, movement: Movement) -> None:
    booked = book(world, movement)
    dispute["balance_transactions"].append(world.find("balance_transaction", booked))


def _new_dispute(world: World, charge: Json, amount: int, reason: str) -> Json:
    return {
        "id": world.new_id("dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": world.now_s(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": world.now_s() + ANSWER_WITHIN_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response",
    }


def _update(world: World, call: Call) -> Json:
    dispute = world.find("dispute", call.path["id"])
    if dispute["status"] in CLOSED:
        raise too_late("This dispute is closed.", "dispute_closed")
    dispute["evidence"] |= call.params.get("evidence", {})
    dispute["metadata"] |= call.params.get("metadata", {})
    if "evidence" in call.params:
        dispute["evidence_details"]["has_evidence"] = True
        if call.params.get("submit", True):
            dispute["evidence_details"]["submission_count"] += 1
            dispute["status"] = "under_review"
    world.emit(call, "charge.dispute.updated", dispute)
    return dispute


def _close(world: World, call: Call) -> Json:
    return close_dispute(world, world.find("dispute", call.path["id"]), "lost")


def _retrieve(world: World, call: Call) -> Json:
    return world.find("dispute", call.path["id"])


def _list(world: World, call: Call) -> Json:
    wanted = {n: call.params[n] for n in ("charge", "payment_intent") if n in call.params}
    return page(
        world,
        call,
        "dispute",
        "/v1/disputes",
        lambda dispute: all(dispute[name] == value for name, value in wanted.items()),
    )


OPERATIONS = (
    get("/v1/disputes/{id}", _retrieve),
    post("/v1/disputes/{id}", _update, UPDATE),
    post("/v1/disputes/{id}/close", _close, {}),
    get("/v1/disputes", _list, {**LISTED, "charge": TEXT, "payment_intent": TEXT}),
)
