"""Every statement of the two signings fails in turn: nothing half-done stays, and a retry works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from app.audit.models import Leaf
from app.contracts.checking import problems
from app.contracts.models import Contract, DataGrant, Signature
from app.jobs.models import Job
from app.kernel.actor import OPERATOR
from tests.contracts.market import Market

WATCHED = (Signature, Contract, DataGrant, Job, Leaf)


@contextmanager
def failing(market: Market, number: int) -> Iterator[list[str]]:
    """The store's `number`-th statement, counted from 1, fails; yields the statements so far."""
    seen: list[str] = []

    def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)
        if len(seen) == number:
            raise OperationalError(statement, {}, Exception("the store is away"))

    engine = market.installation.market
    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def counted(market: Market) -> dict[str, int]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        assert list(problems(session)) == []
        return {model.__name__: len(session.exec(select(model)).all()) for model in WATCHED}


def test_a_signing_happens_whole_or_not_at_all(market: Market) -> None:
    negotiation_id = market.request()
    for trader, verb in ((market.provider, "agree"), (market.buyer, "verify")):
        before = counted(market)
        body = {"signature": market.signature(trader, negotiation_id)}
        for number in range(1, 200):
            with failing(market, number) as seen:
                answer = market.step(trader, negotiation_id, verb, body)
            if len(seen) < number:
                break
            assert answer.status_code == 503, (seen[-1], answer.text)
            assert answer.headers["retry-after"]
            assert counted(market) == before, seen[-1]
        assert answer.status_code == 200, answer.text
        assert number > 8, "the statements were really counted"
    after = counted(market)
    assert (after["Signature"], after["Contract"], after["DataGrant"]) == (2, 1, 1)
