"""Rooms: memory or disk that calls share, of which nobody takes so much that others get none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class NoRoom(Exception):
    """There is no room; `holder` is whose share is taken, None where all of it is."""

    def __init__(self, holder: str | None) -> None:
        super().__init__(holder)
        self.holder = holder


class Room:
    """So many bytes for all who hold a place in it at one moment; belongs to one event loop."""

    def __init__(self, room_bytes: int) -> None:
        self._left_bytes = room_bytes
        self._held_bytes: Counter[str] = Counter()

    @property
    def left_bytes(self) -> int:
        """What nobody holds."""
        return self._left_bytes

    def place(self, shares: Mapping[str, int]) -> Place:
        """A place of no size yet; `shares` are whose it is, and how much each may hold in all."""
        return Place(self, shares)

    def give(self, shares: Mapping[str, int], more_bytes: int) -> None:
        """Give so many bytes more to a place with these `shares`; raises `NoRoom`."""
        for holder, share_bytes in shares.items():
            if self._held_bytes[holder] + more_bytes > share_bytes:
                raise NoRoom(holder)
        if more_bytes > self._left_bytes:
            raise NoRoom(None)
        self._left_bytes -= more_bytes
        self._held_bytes.update(dict.fromkeys(shares, more_bytes))

    def take_back(self, shares: Mapping[str, int], size_bytes: int) -> None:
        """Have the bytes of a place with these `shares` again."""
        self._left_bytes += size_bytes
        for holder in shares:
            self._held_bytes[holder] -= size_bytes
            if not self._held_bytes[holder]:
                del self._held_bytes[holder]


class Place:
    """So much of a room, until it is given back."""

    def __init__(self, room: Room, shares: Mapping[str, int]) -> None:
        self._room = room
        self._shares = shares
        self._size_bytes = 0

    def grow_to(self, size_bytes: int) -> None:
        """Be at least so large; raises `NoRoom`, and stays as it was then."""
        if size_bytes > self._size_bytes:
            self._room.give(self._shares, size_bytes - self._size_bytes)
            self._size_bytes = size_bytes

    def give_back(self) -> None:
        """Let go of the place; may be done twice."""
        self._room.take_back(self._shares, self._size_bytes)
        self._size_bytes = 0
