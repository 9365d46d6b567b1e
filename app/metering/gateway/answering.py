"""Answering: what the gateway sends, once a call is settled or refused."""

from __future__ import annotations

from app.http.problems import problem_answer
from app.http.request_state import RequestState
from app.kernel.refusals import Refusal
from app.metering.errors import GrantsStale, KeyOutgrown, KeyReused, KeySpent, NoGrant
from app.metering.gateway.admission import NO_GRANT, OpenGrant
from app.metering.gateway.fetched import Fetched
from app.metering.gateway.streams import Receive, Send, send_pieces
from app.metering.tally.calls import Outcome, Paid, Settled

NOT_MODIFIED = 304


async def send_data(
    receive: Receive,
    send: Send,
    method: str,
    fetched: Fetched,
    settled: Settled | None,
    opened: OpenGrant,
) -> bool:
    """Send what was fetched; `settled` is None for an answer that does not count.

    False: the body's source broke off on the way, and the buyer did not get it whole.
    """
    headers = [*fetched.headers]
    body = fetched.body
    size_bytes = len(body) if isinstance(body, bytes) else body.size_bytes
    # These two have the length, if any, of the body that they are about.
    if size_bytes is not None and method != "HEAD" and fetched.status != NOT_MODIFIED:
        headers.append((b"content-length", b"%d" % size_bytes))
    if settled is not None:
        headers.append((b"usage-receipt", settled.event_id.encode("ascii")))
        headers += opened.limits.after(
            opened.used_units, opened.granted_left, settled.settled_at_us
        )
        if settled.outcome is Outcome.DUPLICATE:
            headers.append((b"idempotency-replayed", b"true"))
    start = {"type": "http.response.start", "status": fetched.status, "headers": headers}
    if isinstance(body, bytes):
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True
    try:
        await send(start)
    except BaseException:
        await body.close()
        raise
    return await send_pieces(receive, send, body)


async def send_problem(send: Send, error: Exception) -> None:
    """Send the problem document of `error`."""
    answer = problem_answer(RequestState(), error)
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def refuse_outcome(opened: OpenGrant, settled: Settled, units: int) -> None:
    """Raise what a call is told whose settling gave it nothing."""
    outcome = settled.outcome
    if outcome is Outcome.POSTED or outcome is Outcome.DUPLICATE:
        return
    if outcome is Outcome.OVER_LIMIT:
        raise opened.exhausted(settled.settled_at_us, units)
    if outcome in {Outcome.KEY_REUSED, Outcome.KEY_SPENT}:
        raise key_refusal(outcome)
    if outcome is Outcome.DEAD:
        raise NoGrant(NO_GRANT, contract_id=opened.grant.contract_id)
    raise GrantsStale("The contract is being changed; try again.")


def key_refusal(outcome: Outcome) -> Refusal:
    """What a call is told whose Idempotency-Key does not give it the data."""
    if outcome is Outcome.KEY_REUSED:
        return KeyReused("This Idempotency-Key was used for another request.")
    return KeySpent(
        "This Idempotency-Key has given its data as often, or for as long, as it may; "
        "the call was counted once. Call again under a new key."
    )


def refuse_outgrown(meter: str, units: int, paid: Paid | None) -> None:
    """Raise unless a repeat of so many `units` is within what its key has `paid` for."""
    if paid is None or paid.meter != meter or units > paid.units:
        raise KeyOutgrown(
            "The answer has more units by now than this Idempotency-Key has paid for; "
            "call again under a new key.",
            meter=meter,
            units=units,
            paid_meter=None if paid is None else paid.meter,
            paid_units=None if paid is None else paid.units,
        )
