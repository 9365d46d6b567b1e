"""Product ids: a stable name for a data product, with its day, a number and a check character.

`ZG` ‖ day (yyyymmdd) ‖ number of that day (six digits or more) ‖ ISO 7064 MOD 11-2 over the digits.
"""

from __future__ import annotations

import re
from datetime import date

PREFIX = "ZG"
_SHAPE = re.compile(r"ZG([0-9]{14,})([0-9X])", re.ASCII)


def product_id(day: date, number: int) -> str:
    """The id of the `number`-th product of `day`; numbers begin at 1."""
    digits = f"{day:%Y%m%d}{number:06d}"
    return f"{PREFIX}{digits}{check_character(digits)}"


def is_product_id(text: str) -> bool:
    """Whether `text` has the shape of a product id and its check character is right."""
    match = _SHAPE.fullmatch(text)
    return match is not None and check_character(match[1]) == match[2]


def check_character(digits: str) -> str:
    """ISO 7064 MOD 11-2: catches every wrong digit and every swap of two neighbours."""
    remainder = 0
    for digit in digits:
        remainder = (remainder + int(digit)) * 2 % 11
    value = (12 - remainder) % 11
    return "X" if value == 10 else str(value)
