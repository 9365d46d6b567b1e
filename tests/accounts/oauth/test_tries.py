"""The arithmetic of tries: what is free, how pauses grow, and what time forgives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.accounts.oauth.tries import (
    LONGEST_PAUSE,
    PER_ADDRESS,
    PER_EMAIL,
    Allowance,
    Debt,
    add_try,
    take_back,
)

START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
CLEAR = Debt(START, START)
BOTH = pytest.mark.parametrize("allowance", [PER_EMAIL, PER_ADDRESS], ids=["email", "address"])


def after_tries(number: int, allowance: Allowance, debt: Debt = CLEAR) -> Debt:
    for _ in range(number):
        debt = add_try(debt, allowance, START)
    return debt


@BOTH
def test_pauses_begin_with_the_last_free_try_and_double_up_to_a_quarter_of_an_hour(
    allowance: Allowance,
) -> None:
    assert after_tries(allowance.free - 1, allowance).wait_s(START) == 0
    waits = [after_tries(allowance.free + more, allowance).wait_s(START) for more in range(8)]
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


@BOTH
def test_who_tries_whenever_it_is_allowed_gets_a_try_each_quarter_of_an_hour_or_pardon(
    allowance: Allowance,
) -> None:
    debt, moment, tries = CLEAR, START, 0
    while moment < START + timedelta(days=10):
        debt = add_try(debt, allowance, moment)
        tries += 1
        moment = max(moment, debt.blocked_until)
    least = min(LONGEST_PAUSE, allowance.forgiven_after)
    assert tries <= allowance.free + 10 + timedelta(days=10) // least


@BOTH
def test_debt_is_bounded_so_that_it_does_not_outlast_the_attack(allowance: Allowance) -> None:
    debt = after_tries(1000, allowance)
    assert debt == after_tries(allowance.free + 5, allowance)
    assert debt.clear_at == START + (allowance.free + 5) * allowance.forgiven_after
    later = add_try(debt, allowance, debt.clear_at)
    assert later.wait_s(debt.clear_at) == 0


@BOTH
def test_a_right_try_takes_back_itself_and_the_pause_that_it_brought(allowance: Allowance) -> None:
    before = after_tries(allowance.free - 1, allowance)
    during = add_try(before, allowance, START)
    assert during.wait_s(START) == 30
    after = take_back(during, allowance, START)
    assert (after.clear_at, after.wait_s(START)) == (before.clear_at, 0)


@BOTH
def test_a_right_try_does_not_end_the_pause_that_wrong_ones_brought(allowance: Allowance) -> None:
    debt = take_back(after_tries(allowance.free + 1, allowance), allowance, START)
    assert debt.wait_s(START) == 60
    assert take_back(CLEAR, allowance, START) == CLEAR


def test_a_wait_is_told_in_whole_seconds_never_too_short() -> None:
    debt = Debt(START, START + timedelta(milliseconds=1001))
    assert debt.wait_s(START) == 2
    assert debt.wait_s(START + timedelta(milliseconds=1)) == 1
    assert debt.wait_s(START + timedelta(milliseconds=1001)) == 0
    assert debt.wait_s(START + timedelta(hours=1)) == 0
