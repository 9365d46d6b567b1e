"""A cache of finished answers, bounded by their bytes, forgetting the longest unused first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

# What an entry costs beside its body: keys, objects, the table.
ENTRY_OVERHEAD_BYTES = 2_000


class BoundedCache(Generic[Value]):
    """Values by key; together at most `max_bytes`, one at most an eighth of that."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Value | None:
        """The value kept under `key`, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: Value, size_bytes: int) -> None:
        """Keep `value`, whose body is `size_bytes`, unless it is too large to be worth its room."""
        cost = size_bytes + ENTRY_OVERHEAD_BYTES
        if cost > self.max_bytes // 8:
            return
        if key in self._entries:
            self.used_bytes -= self._entries.pop(key)[1]
        self._entries[key] = (value, cost)
        self.used_bytes += cost
        while self.used_bytes > self.max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.used_bytes -= freed
