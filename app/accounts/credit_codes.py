"""统一社会信用代码, the unified social credit code (GB 32100-2015): 18 characters, one a check."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I, O, S, V, Z
LENGTH = 18
_MODULUS = len(ALPHABET)
_WEIGHTS = tuple(pow(3, place, _MODULUS) for place in range(LENGTH - 1))


def check_character(body: str) -> str:
    """The character that belongs behind the first 17; `ValueError` for one not of the alphabet."""
    if len(body) != LENGTH - 1:
        raise ValueError(f"the code without its check has {LENGTH - 1} characters")
    total = sum(
        ALPHABET.index(character) * weight for character, weight in zip(body, _WEIGHTS, strict=True)
    )
    return ALPHABET[-total % _MODULUS]


def is_credit_code(text: str) -> bool:
    """Whether `text` is a code of 18 characters, in capitals, whose check character is right."""
    if len(text) != LENGTH or any(character not in ALPHABET for character in text):
        return False
    return check_character(text[:-1]) == text[-1]
