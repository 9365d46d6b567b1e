"""The circuit breaker of a listing's upstream, on given moments."""

from __future__ import annotations

from app.metering.upstream.breaker import FAILURES_TO_OPEN, OPEN_MAX_S, Breaker


def opened(at_s: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.wait_s(at_s) is None
        breaker.start()
        breaker.fail(at_s)
    return breaker


def test_a_few_failures_leave_it_closed_and_a_success_forgets_them() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.fail(0.0)
    breaker.succeed()
    breaker.fail(0.0)
    assert breaker.wait_s(0.0) is None


def test_enough_failures_in_a_row_open_it_for_a_second() -> None:
    breaker = opened()
    assert breaker.wait_s(100.0) == 1
    assert breaker.wait_s(100.9) == 1
    assert breaker.wait_s(101.0) is None


def test_one_probe_at_a_time_goes_through_and_success_closes_it() -> None:
    breaker = opened()
    breaker.start()
    assert breaker.wait_s(101.0) == 1
    breaker.succeed()
    assert breaker.wait_s(101.0) is None


def test_a_failed_probe_doubles_the_wait_up_to_a_bound() -> None:
    breaker = opened()
    now_s, waits = 101.0, []
    for _ in range(20):
        assert breaker.wait_s(now_s) is None
        breaker.start()
        breaker.fail(now_s)
        waits.append(breaker.open_until_s - now_s)
        now_s = breaker.open_until_s
    assert waits[:5] == [2.0, 4.0, 8.0, 16.0, 30.0]
    assert max(waits) == OPEN_MAX_S


def test_calls_that_break_together_open_it_once() -> None:
    breaker = opened()
    for _ in range(50):
        breaker.fail(100.0)
    assert breaker.wait_s(101.0) is None
    breaker.start()
    breaker.fail(101.0)
    assert breaker.wait_s(101.0) == 2


def test_an_abandoned_probe_lets_the_next_one_try() -> None:
    breaker = opened()
    breaker.start()
    breaker.abandon()
    assert breaker.wait_s(101.0) is None
