"""Product ids: their check character is ISO 7064 MOD 11-2 and catches the usual slips."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from app.listings.products import check_character, is_product_id, product_id


@pytest.mark.parametrize(
    ("digits", "check"),
    [
        ("0794", "0"),  # the example of ISO/IEC 7064 itself
        ("000000012146438", "X"),  # ISNI 0000 0001 2146 438X, as ISO 27729 counts it
        ("000000021825009", "7"),  # ORCID 0000-0002-1825-0097
        ("000000021694233", "X"),  # ORCID 0000-0002-1694-233X
        ("", "1"),
    ],
)
def test_the_check_character_is_that_of_published_numbers(digits: str, check: str) -> None:
    assert check_character(digits) == check


def test_an_id_names_its_day_and_number() -> None:
    first = product_id(date(2026, 11, 2), 1)
    assert first[:-1] == "ZG20261102000001"
    assert is_product_id(first)
    millionth = product_id(date(2026, 11, 2), 1_000_000)
    assert millionth[:-1] == "ZG202611021000000"
    assert is_product_id(millionth)


@pytest.mark.parametrize("number", [1, 2, 10, 99_999])
def test_one_wrong_digit_or_two_swapped_are_caught(number: int) -> None:
    right = product_id(date(2026, 11, 2), number)
    digits = right[2:-1]
    for place, digit in enumerate(digits):
        for other in "0123456789":
            changed = f"ZG{digits[:place]}{other}{digits[place + 1 :]}{right[-1]}"
            assert is_product_id(changed) == (other == digit)
    for place, (one, two) in enumerate(pairwise(digits)):
        swapped = f"ZG{digits[:place]}{two}{one}{digits[place + 2 :]}{right[-1]}"
        assert is_product_id(swapped) == (one == two)


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[2:],
        lambda text: text[:-1],
        lambda text: text.replace("2", "\uff12"),
        lambda text: "",
    ],
)
def test_another_shape_is_no_product_id(change: object) -> None:
    assert callable(change)
    assert not is_product_id(change(product_id(date(2026, 11, 2), 1)))
