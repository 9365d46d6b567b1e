"""Answering: what the gateway sends, once a call is settled or refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.http.problems import problem_answer
from app.http.request_state import RequestState
from app.kernel.refusals import Refusal
from app.metering.admission import NO_GRANT, OpenGrant
from app.metering.calls import Outcome, Settled
from app.metering.errors import GrantsStale, KeyReused, KeySpent, NoGrant
from app.metering.fetching import Fetched

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


async def send_data(
    send: Send, method: str, fetched: Fetched, settled: Settled | None, opened: OpenGrant
) -> None:
    """Send what was fetched; `settled` is None for an answer that does not count."""
    headers = [*fetched.headers]
    if method != "HEAD":
        headers.append((b"content-length", b"%d" % len(fetched.body)))
    if settled is not None:
        headers.append((b"usage-receipt", settled.event_id.encode("ascii")))
        headers += opened.limits.after(opened.used_units, settled.settled_at_us)
        if settled.outcome is Outcome.DUPLICATE:
            headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": fetched.status, "headers": headers})
    await send({"type": "http.response.body", "body": fetched.body, "more_body": False})


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
