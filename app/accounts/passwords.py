"""Passwords: argon2id with the parameters OWASP asks for; nothing here touches the store."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from app.accounts.errors import PasswordTooWeak
from app.accounts.people.guessable import is_guessable

MIN_CHARS = 15
"""NIST SP 800-63B-4 §3.1.1.2: what a password takes that may be the only factor."""
MAX_CHARS = 128

# OWASP Password Storage Cheat Sheet: m = 19 MiB, t = 2, p = 1.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


def check_password(password: str, email: str, name: str) -> None:
    """Refuse with `PasswordTooWeak` one that is too short, or that anybody would try first.

    Length counts, and what it is made of does not: there are no rules of composition.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise PasswordTooWeak(
            f"A password has {MIN_CHARS} to {MAX_CHARS} characters.", min=MIN_CHARS, max=MAX_CHARS
        )
    if is_guessable(password, (email.partition("@")[0], name)):
        raise PasswordTooWeak("This password is too easily guessed.")


def hash_password(password: str) -> str:
    """The argon2id hash of `password`: tens of milliseconds, so never within a transaction."""
    return _hasher.hash(_one_spelling(password))


def password_fits(password: str, kept: str | None) -> bool:
    """Whether `password` is the one that `kept` is a hash of; as slow when there is none."""
    try:
        matches = _hasher.verify(kept or _nobodys(), _one_spelling(password))
    except (Argon2Error, InvalidHashError):
        return False
    return matches and kept is not None


def _one_spelling(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash that no one knows the password of, for work that must take as long."""
    return hash_password("nobody's password")
