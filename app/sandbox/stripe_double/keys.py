"""Idempotency keys: one key, one effect, one answer, for 24 hours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

from app.sandbox.stripe_double.refusals import StripeRefusal, invalid
from app.sandbox.stripe_double.world import Json, World

LIFE_S = 24 * 3600
MAX_LENGTH = 255


class Keys:
    """The answers kept under keys, and the keys that are at work right now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at_work: set[str] = set()

    @contextmanager
    def at_work(self, key: str) -> Iterator[None]:
        """Hold `key` while its request is executed; a second one meanwhile is refused with 409."""
        if len(key) > MAX_LENGTH:
            raise invalid(f"Idempotency keys have at most {MAX_LENGTH} characters.")
        if key in self._at_work:
            raise in_use()
        self._at_work.add(key)
        try:
            yield
        finally:
            self._at_work.remove(key)

    def kept(self, key: str, request: str) -> Json | None:
        """The answer that `key` got for the same request; refuses another request under it."""
        kept = self._world.memory.answers.get(key)
        if kept is None or kept["at"] + LIFE_S <= self._world.now_s():
            return None
        if kept["request"] != request:
            raise StripeRefusal(
                400,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were "
                "first used with.",
            )
        return kept

    def keep(self, key: str, request: str, answer: Json) -> None:
        """Keep an answer under `key`, and forget the ones that are too old."""
        answers = self._world.memory.answers
        too_old = self._world.now_s() - LIFE_S
        for old in [old for old, kept in answers.items() if kept["at"] <= too_old]:
            del answers[old]
        answers[key] = {
            **answer,
            "request": request,
            "at": self._world.now_s(),
        }


def in_use() -> StripeRefusal:
    """409: another request is at work under the key."""
    return StripeRefusal(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotency Key.",
        code="idempotency_key_in_use",
    )


def fingerprint(method: str, path: str, form: Json) -> str:
    """What a request asks for, as a hash."""
    text = json.dumps([method, path, form], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
