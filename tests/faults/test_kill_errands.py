"""kill -9 of a worker in an invoice run and with money in its hands, and of a signing (F-A2).

`tests/billing/killing.py` fails each statement of these in turn, inside one process. Here a process
dies, with its connections and locks, and so the store has to find out by itself.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from app.audit.checkpointing import sequence
from app.audit.log_keys import ensure_log_key
from app.contracts.states import NegotiationState
from app.db.installation import Installation
from app.kernel.actor import OPERATOR, Actor, ActorKind
from app.kernel.clock import SetClock
from app.kernel.ids import new_id
from app.reports.fsck import check_everything
from app.sandbox.stripe_double.double import DoubleOptions
from app.sandbox.stripe_double.running import running_double
from tests.billing.season import Deal, Season
from tests.billing.till import SECRET, Till, open_till
from tests.conftest import Api
from tests.contracts.market import SCOPES, Market, Trader
from tests.faults.errands import End, Lives, chosen_end, sign
from tests.faults.judging import Note, Verdict

MONTHS = [f"{2026 + number // 12}-{number % 12 + 1:02}" for number in range(10, 130)]
CALLS = 3
KEPT = {"processor:stripe:clearing": 4_50, "processor:fees": 3_00, "alliance:fees": 7_50}
"""What stays of one sale of a till, in fen, once its provider is paid."""


@pytest.fixture
def lives(installation: Installation, clock: SetClock, chance: random.Random) -> Lives:
    with installation.transaction(OPERATOR) as session:
        ensure_log_key(session)
    return Lives(installation, clock, chance)


def enough(long: bool) -> int:
    """How many lives are killed of each errand."""
    return 60 if long else 10


def named(installation: Installation) -> set[str]:
    """What fsck says once what was recorded has its numbers."""
    sequence(installation)
    found = check_everything(installation, patience_s=0)
    return {f"{one.group}: {one.text}" for one in found}


def rows(installation: Installation, question: str) -> list[Any]:
    with installation.market.connect() as connection:
        return list(connection.execute(sa.text(question)).all())


def use_and_close(season: Season, lives: Lives, deals: list[Deal], month: int) -> None:
    """Calls in the month, and its invoices when it is over, by workers that are killed."""
    for deal in deals:
        season.use(deal, f"{MONTHS[month]}-15 09:00:00", CALLS)
    season.set_clock(f"{MONTHS[month + 1]}-01 00:00:00")
    period = MONTHS[month]
    assert season.ask_to_close(period).status_code == 202
    path = f"/api/v1/billing/periods/{period}"
    lives.work_until(lambda: season.admin.get(path).json()["state"] == "closed")


def test_an_invoice_run_that_is_killed_bills_each_call_once(
    installation: Installation,
    clock: SetClock,
    api: Api,
    lives: Lives,
    note: Note,
    long: bool,
) -> None:
    season = Season(installation, clock, api)
    deals = [season.sign(starts_on="2026-11-02", ends_on="2036-11-01") for _ in range(2)]
    clean = named(installation)
    month = 0
    while lives.killed < enough(long):
        use_and_close(season, lives, deals, month)
        month += 1
    assert season.invoices() == [(MONTHS[at], "", 2 * CALLS * 100) for at in range(month)]
    assert named(installation) == clean
    lines = rows(installation, "SELECT grant_id, first_number, last_number FROM invoice_line")
    billed = Counter(
        (grant_id, number) for grant_id, first, last in lines for number in range(first, last + 1)
    )
    used = {(deal.grant_id, n + 1) for deal in deals for n in range(month * CALLS)}
    verdict = Verdict(
        times=lives.killed,
        acknowledged=len(used),
        lost=len(used - set(billed)),
        twice=sum(count - 1 for count in billed.values()) + len(set(billed) - used),
    )
    note("kill -9 of a worker in an invoice run", verdict)


def sell_once(till: Till, lives: Lives) -> str:
    """An invoice is paid, and its provider too, by workers that are killed; the payment's id."""
    payment_id = till.pay(till.invoice())
    lives.work_until(lambda: till.payment(payment_id)["checkout_url"] is not None)
    till.complete(payment_id)
    till.deliver()
    lives.work_until(lambda: bool(till.payment(payment_id)["state"] == "succeeded"))
    [due] = [one for one in payouts(till) if one["payment_id"] == payment_id]
    lives.clock.advance(timedelta(days=till.installation.settings.payout_hold_days))
    lives.work_until(lambda: all(one["state"] == "paid" for one in payouts(till)))
    assert due["amount"]["amount_minor"] == 98_50
    return payment_id


def payouts(till: Till) -> list[dict[str, Any]]:
    return list(till.provider.get("/api/v1/payouts?limit=200").json()["items"])


def test_money_moves_once_whichever_worker_is_killed_with_it_in_its_hands(
    installation: Installation, clock: SetClock, lives: Lives, note: Note, long: bool
) -> None:
    options = DoubleOptions(clock=clock, webhook_secret=SECRET)
    with running_double(options) as double, open_till(installation, double) as till:
        till.onboard()
        lives.installation = till.installation
        clean = named(installation)
        sold = []
        while lives.killed < enough(long):
            sold.append(sell_once(till, lives))
        # A till's invoices are of units that nobody called: of all else nothing is wrong.
        (told,) = named(installation) - clean
        assert told.startswith("billing: B2: grt_"), told
        charges = Counter(one["amount"] for one in double.all_of("charge"))
        sent = Counter(one["transfer_group"] for one in double.all_of("transfer"))
        kept = {account: each * len(sold) for account, each in KEPT.items()}
        assert till.balances() == kept
    moved = charges[106_00] + sent.total()
    verdict = Verdict(
        times=lives.killed,
        acknowledged=2 * len(sold),
        lost=2 * len(sold) - min(charges[106_00], len(sold)) - len(sent),
        twice=moved - 2 * len(sold),
    )
    note("kill -9 of a worker that opens a payment's page or sends a payout", verdict)


def acting(trader: Trader) -> Actor:
    scopes = frozenset(SCOPES)
    return Actor(ActorKind.CLIENT, new_id("cli"), trader.id, scopes=scopes)


def sign_until_told(market: Market, lives: Lives, trader: Trader, asked: str, verb: str) -> int:
    """A party signs, sending twice at once at times, until somebody told it that it has signed;
    how often it was told so.
    """
    jws = market.signature(trader, asked)
    there = NegotiationState.AGREED if verb == "agree" else NegotiationState.FINALIZED
    path = f"/api/v1/negotiations/{asked}"
    errand = partial(sign, actor=acting(trader), negotiation_id=asked, verb=verb, jws=jws)
    told = 0
    while trader.caller.get(path).json()["state"] != there.value:
        ends = [chosen_end(lives.chance)]
        if lives.chance.random() < 0.3:
            ends.append(End())
        begun = [lives.begin(errand, end) for end in ends]
        told += [lives.fate(process) for process in begun].count(0)
    return told


def test_a_signing_that_is_killed_signs_once_or_not_at_all(
    installation: Installation,
    api: Api,
    lives: Lives,
    note: Note,
    long: bool,
) -> None:
    market = Market(installation, api)
    clean = named(installation)
    negotiations, told = [], 0
    while lives.killed < enough(long):
        asked = market.request(ends_on="2036-11-01")
        negotiations.append(asked)
        told += sign_until_told(market, lives, market.provider, asked, "agree")
        told += sign_until_told(market, lives, market.buyer, asked, "verify")
    signed = Counter(rows(installation, "SELECT terms_sha256, organisation_id FROM signature"))
    contracts = rows(installation, "SELECT negotiation_id FROM contract")
    assert sorted(one for (one,) in contracts) == sorted(negotiations)
    grants = {one for (one,) in rows(installation, "SELECT id FROM data_grant")}
    lives.work_until(lambda: grants_in_force(installation) == grants)
    assert len(grants) == len(negotiations)
    assert named(installation) == clean
    verdict = Verdict(
        times=lives.killed,
        acknowledged=told,
        lost=max(0, 2 * len(negotiations) - len(signed)),
        twice=signed.total() - len(signed) + max(0, told - len(signed)),
    )
    note("kill -9 of a process that signs, and of the worker that brings it into force", verdict)


def grants_in_force(installation: Installation) -> set[str]:
    with installation.usage.connect() as connection:
        return set(connection.scalars(sa.text("SELECT grant_id FROM grant_state WHERE live")).all())
