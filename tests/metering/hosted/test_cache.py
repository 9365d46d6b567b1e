"""The cache of answers is bounded by bytes and forgets the longest unused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.metering.hosted.cache import ENTRY_OVERHEAD_BYTES, BoundedCache

ROOM = 10 * (ENTRY_OVERHEAD_BYTES + 100)


def test_what_was_put_is_found_and_what_was_not_is_not() -> None:
    cache: BoundedCache[str] = BoundedCache(ROOM)
    cache.put("a", "x", 100)
    assert (cache.get("a"), cache.get("b")) == ("x", None)


def test_the_longest_unused_goes_first() -> None:
    cache: BoundedCache[int] = BoundedCache(ROOM)
    for key in range(10):
        cache.put(key, key, 100)
    assert cache.get(0) == 0
    cache.put(10, 10, 100)
    assert (cache.get(0), cache.get(1), cache.get(10)) == (0, None, 10)


def test_one_value_cannot_take_all_the_room() -> None:
    cache: BoundedCache[str] = BoundedCache(ROOM)
    cache.put("small", "x", 100)
    cache.put("large", "y", ROOM // 8)
    assert (cache.get("small"), cache.get("large")) == ("x", None)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3000))))
def test_it_never_holds_more_than_its_bytes(puts: list[tuple[int, int]]) -> None:
    cache: BoundedCache[int] = BoundedCache(ROOM)
    costs: dict[int, int] = {}
    for key, size in puts:
        cache.put(key, size, size)
        if size + ENTRY_OVERHEAD_BYTES <= ROOM // 8:
            costs[key] = size + ENTRY_OVERHEAD_BYTES
    kept = {key: cost for key, cost in costs.items() if cache.get(key) is not None}
    assert len(cache) == len(kept)
    assert cache.used_bytes == sum(kept.values()) <= ROOM
