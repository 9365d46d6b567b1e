"""Controls: what the sandbox lets its keeper do. Everything under `/_double/`, with any test key.

GET, POST, DELETE faults    what goes wrong: {kind, path, method, times, seconds}
GET requests                what was asked, in order: the independent observer of tests
GET deliveries              webhooks that were attempted
POST webhooks               {do: hold | release | take | duplicate, newest_first, copies, events}
POST events/{id}/resend     deliver an event again
POST disputes               {charge, reason}, and disputes/{id}/close {outcome: won | lost}
POST accounts/{id}/onboard  what the provider does behind the link; …/payout {currency}
POST payouts/{id}/settle    {outcome: paid | failed}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from app.sandbox.stripe_double.accounts import finish_onboarding
from app.sandbox.stripe_double.answering import demand_test_key
from app.sandbox.stripe_double.disputes import close_dispute, open_dispute
from app.sandbox.stripe_double.double import StripeDouble
from app.sandbox.stripe_double.faults import Fault, FaultKind
from app.sandbox.stripe_double.payouts import pay_out_all, settle_payout
from app.sandbox.stripe_double.refusals import StripeRefusal, invalid
from app.sandbox.stripe_double.world import Json

Control = Callable[[StripeDouble, Json], Any]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def control_routes(double: StripeDouble) -> list[web.RouteDef]:
    """The routes of all controls."""
    return [
        web.route(method, f"/_double/{path}", _handler(double, control))
        for (method, path), control in _CONTROLS.items()
    ]


def _handler(double: StripeDouble, control: Control) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            demand_test_key({name.lower(): value for name, value in request.headers.items()})
            try:
                given = await request.json() if request.can_read_body else {}
            except ValueError:
                raise invalid("The body is not JSON.") from None
            if not isinstance(given, dict):
                raise invalid("The body is not an object.")
            answer = double.change(lambda _: control(double, {**given, **request.match_info}))
        except StripeRefusal as refusal:
            return web.json_response(refusal.body("control"), status=refusal.status)
        return web.json_response(answer)

    return handle


def _add_fault(double: StripeDouble, given: Json) -> Any:
    try:
        fault = Fault(**{**given, "kind": FaultKind(given.get("kind", ""))})
    except (TypeError, ValueError) as error:
        raise invalid(f"Not a fault: {error}") from None
    double.faults.add(fault)
    return double.faults.waiting()


def _clear_faults(double: StripeDouble, _: Json) -> Any:
    double.faults.clear()
    return []


def _webhooks(double: StripeDouble, given: Json) -> Any:
    match given.get("do"):
        case "hold":
            double.deliverer.hold()
        case "release":
            double.deliverer.release(newest_first=bool(given.get("newest_first")))
        case "duplicate":
            double.faults.duplicate_webhooks(
                int(given.get("copies", 2)), int(given.get("events", 1))
            )
        case "take":
            return [
                {"body": webhook.body.decode(), "signature": webhook.signature}
                for webhook in double.deliverer.take()
            ]
        case _:
            raise invalid("`do` is hold, release, duplicate or take.", param="do")
    return {"waiting": len(double.world.memory.deliveries)}


def _resend(double: StripeDouble, given: Json) -> Any:
    event = double.world.memory.objects.get(given["id"], {})
    if event.get("object") != "event":
        raise invalid("There is no such event.")
    double.deliverer.resend(event)
    return event


def _dispute(double: StripeDouble, given: Json) -> Any:
    charge = double.world.find("charge", str(given.get("charge")), param="charge")
    return open_dispute(double.world, charge, str(given.get("reason", "general")))


def _close_dispute(double: StripeDouble, given: Json) -> Any:
    dispute = double.world.find("dispute", given["id"])
    return close_dispute(double.world, dispute, _outcome(given, "won", "lost"))


def _onboard(double: StripeDouble, given: Json) -> Any:
    return finish_onboarding(double.world, given["id"])


def _pay_out(double: StripeDouble, given: Json) -> Any:
    account = double.world.find("account", given["id"])
    return pay_out_all(double.world, account["id"], str(given.get("currency", "cny")))


def _settle(double: StripeDouble, given: Json) -> Any:
    payout = double.world.memory.objects.get(given["id"], {})
    if payout.get("object") != "payout":
        raise invalid("There is no such payout.")
    return settle_payout(double.world, payout, _outcome(given, "paid", "failed"))


def _outcome(given: Json, *allowed: str) -> str:
    outcome = given.get("outcome")
    if outcome not in allowed:
        raise invalid(f"`outcome` is {' or '.join(allowed)}.", param="outcome")
    return str(outcome)


_CONTROLS: dict[tuple[str, str], Control] = {
    ("GET", "faults"): lambda double, _: double.faults.waiting(),
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "requests"): lambda double, _: list(double.answering.journal),
    ("GET", "deliveries"): lambda double, _: list(double.deliverer.log),
    ("POST", "webhooks"): _webhooks,
    ("POST", "events/{id}/resend"): _resend,
    ("POST", "disputes"): _dispute,
    ("POST", "disputes/{id}/close"): _close_dispute,
    ("POST", "accounts/{id}/onboard"): _onboard,
    ("POST", "accounts/{id}/payout"): _pay_out,
    ("POST", "payouts/{id}/settle"): _settle,
}
