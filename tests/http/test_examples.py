"""Examples are made from the shapes themselves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.http.examples import MOMENT, UNKNOWN, example_id, example_of, looks_like
from app.http.schemas import Body, Page, View
from app.kernel.ids import kind_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Wheel(Body):
    size: Annotated[int, Meta(ge=16)]
    maker: Annotated[str, Meta(examples=["Shimano"])]
    tubeless: bool = False


@looks_like(id="bike_1", bell=None)
class Bike(View, kw_only=True):
    id: str
    colour: Colour
    wheels: tuple[Wheel, ...]
    bell: str | None
    made_at: datetime
    currency: str
    sold_at: datetime | None = None


@looks_like(trailer="small")
class Train(Bike, kw_only=True):
    trailer: str


class Riddle(View):
    answer: str
    kept: dict[str, Any]


BIKE = {
    "id": "bike_1",
    "colour": "red",
    "wheels": [{"size": 16, "maker": "Shimano"}],
    "bell": None,
    "made_at": MOMENT,
    "currency": "CNY",
    "sold_at": None,
}


def test_an_answer_shows_every_member_and_a_request_what_it_cannot_do_without() -> None:
    assert example_of(Bike) == BIKE
    assert example_of(Page[Bike]) == {"items": [BIKE], "next_cursor": None}
    msgspec.convert(example_of(Page[Bike]), Page[Bike], strict=True)


def test_a_shape_looks_like_the_one_that_it_extends() -> None:
    assert example_of(Train) == {**BIKE, "trailer": "small"}


def test_what_nobody_has_said_is_marked() -> None:
    assert example_of(Riddle)["answer"] == UNKNOWN


def test_an_example_id_is_an_id() -> None:
    assert kind_of(example_id("inv")) == "inv"
    assert example_id("inv") != example_id("inv", 2)
