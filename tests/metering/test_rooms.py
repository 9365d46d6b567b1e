"""A room is shared: nobody has more than a share of it, and what is given back is there again."""

from __future__ import annotations

import pytest

from app.metering.rooms import NoRoom, Room


def test_nobody_takes_more_than_a_share_nor_all_more_than_there_is() -> None:
    room = Room(10)
    one, other = room.place({"a": 6, "p": 9}), room.place({"b": 6, "p": 9})
    one.grow_to(5)
    one.grow_to(3)
    with pytest.raises(NoRoom) as full:
        one.grow_to(7)
    assert full.value.holder == "a"
    with pytest.raises(NoRoom) as full:
        other.grow_to(5)
    assert full.value.holder == "p"
    other.grow_to(4)
    with pytest.raises(NoRoom) as full:
        room.place({"c": 6}).grow_to(2)
    assert full.value.holder is None
    assert room.left_bytes == 1, "what was refused took nothing"


def test_what_is_given_back_is_there_again_once() -> None:
    room = Room(10)
    one, other = room.place({"a": 6}), room.place({"a": 6})
    one.grow_to(4)
    other.grow_to(2)
    one.give_back()
    one.give_back()
    assert room.left_bytes == 8
    one.grow_to(4)
    other.give_back()
    one.give_back()
    assert (room.left_bytes, dict(room._held_bytes)) == (10, {}), "who holds nothing is forgotten"
