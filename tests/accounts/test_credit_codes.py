"""Unified social credit codes, by GB 32100-2015."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.credit_codes import ALPHABET, check_character, is_credit_code

REAL = [  # of companies whose codes are public
    "91110000600037341L",
    "91350100M000100Y43",
    "914403001922038216",
    "91440300708461136T",
]


@pytest.mark.parametrize("code", REAL)
def test_real_codes_hold(code: str) -> None:
    assert is_credit_code(code)


@pytest.mark.parametrize("code", REAL)
def test_one_wrong_character_anywhere_is_seen(code: str) -> None:
    for place in range(len(code)):
        for other in ALPHABET:
            if other != code[place]:
                assert not is_credit_code(code[:place] + other + code[place + 1 :])


@pytest.mark.parametrize("code", REAL)
def test_two_neighbours_that_change_places_are_seen(code: str) -> None:
    for place in range(len(code) - 1):
        left, right = code[place], code[place + 1]
        if left != right:
            assert not is_credit_code(code[:place] + right + left + code[place + 2 :])


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        REAL[0].lower(),
        REAL[0] + "0",
        REAL[0][:-1],
        " " + REAL[0][1:],
        "9111000060003734IL",
        "\uff19" + REAL[0][1:],
        "O" * 18,
    ],
)
def test_what_is_not_18_of_the_alphabet_is_no_code(code: str) -> None:
    assert not is_credit_code(code)


@given(st.text(ALPHABET, min_size=17, max_size=17))
def test_exactly_one_check_character_fits(body: str) -> None:
    assert [c for c in ALPHABET if is_credit_code(body + c)] == [check_character(body)]
