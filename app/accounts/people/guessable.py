"""Guessable: passwords that anybody would try early; pure, and asks no network.

NIST SP 800-63B-4 §3.1.1.2: long, without rules of composition, held against a list of common
values and of words about the account. Of the breached passwords few are as long as ours must be,
and those are mostly short common ones strung together: so these are taken out of a password, and
what remains must be long enough by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LEFT_CHARS = 6
"""So many characters must remain of a password without its common parts."""
FEWEST_DIFFERENT = 5

_COMMON = """
    password passw0rd p@ssw0rd p@ssword passwort passwd pass word qwerty qwertyuiop qwertz azerty
    asdf asdfgh asdfghjkl zxcv zxcvbn zxcvbnm qazwsx qazwsxedc 1qaz2wsx 1q2w3e 1q2w3e4r 1q2w3e4r5t
    q1w2e3 q1w2e3r4 qweasd qweasdzxc abc abcd abcdef abcdefg abc123 a1b2c3 aa123456 admin
    administrator root user guest test tester demo login welcome letmein changeme secret default
    master dragon monkey shadow sunshine princess football baseball basketball soccer superman
    batman michael jordan jessica charlie iloveyou woaini woaini1314 love lovely hello whatever
    trustno1 starwars computer internet google facebook iphone android windows microsoft apple
    freedom flower summer winter spring autumn killer hunter ranger buster tigger pepper ginger
    cookie cheese chocolate banana orange mustang ferrari samsung nokia pokemon naruto china
    beijing shanghai chongqing zhongguo nihao mima 5201314 520 1314 666666 888888 88888888 147258
    147258369 159357 123321 112233 123123 121212 131313 696969 654321 987654321 000000 111111
    zhigu 智谷 密码 我爱你 爱你一生一世 中国 重庆
"""
COMMON = tuple(sorted(_COMMON.split(), key=len, reverse=True))
"""The commonest passwords and what they are made of, the longest first."""
_ROWS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_RUN = 3


def is_guessable(password: str, about: Iterable[str] = ()) -> bool:
    """Whether `password` has too little that is not common; `about` are words of the account."""
    folded = _fold(password)
    if len(set(folded)) < FEWEST_DIFFERENT:
        return True
    words = [word for one in about for word in _words_of(one)]
    if any(word in folded for word in words):
        return True
    rest = folded
    for word in COMMON:
        rest = rest.replace(word, " ")
    rest = "".join(_without_runs(part) for part in rest.split())
    return len(_unit(rest)) < LEFT_CHARS


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words_of(text: str) -> Iterable[str]:
    """The parts of an email or a name that are long enough to mean somebody."""
    folded = _fold(text)
    for word in (folded, *re.split(r"[\s@._+\-]+", folded)):
        if len(word) >= (2 if not word.isascii() else 4):
            yield word


def _without_runs(text: str) -> str:
    """The text without stretches that follow the alphabet, the digits or a keyboard, either way."""
    kept, at = [], 0
    while at < len(text):
        run = _run_at(text, at)
        if run < _RUN:
            kept.append(text[at])
            run = 1
        at += run
    return "".join(kept)


def _run_at(text: str, at: int) -> int:
    """How many characters from `at` on follow each other in a row, forwards or backwards."""
    longest = 1
    for row in (*_ROWS, *(row[::-1] for row in _ROWS)):
        length = 1
        while at + length < len(text) and text[at : at + length + 1] in row:
            length += 1
        longest = max(longest, length)
    return longest


def _unit(text: str) -> str:
    """What the text repeats: `abab` is `ab`, twice."""
    found = (text + text).find(text, 1)
    return text[:found] if text and len(text) % found == 0 else text
