"""Remembering: what is made once for many calls, and forgotten when there is too much of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """At most `entries_max` values by key; the longest unused one goes first."""

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def recall(self, key: Key) -> Value | None:
        """The value, if it is here."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def keep(self, key: Key, value: Value) -> Value:
        """`value`, from now on the one for `key`."""
        self._entries[key] = value
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)
        return value

    def recall_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value, made if it is not here."""
        found = self.recall(key)
        return self.keep(key, make()) if found is None else found
