"""Shapes that every package's API uses."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from app.kernel.money import Money

ItemT = TypeVar("ItemT")

# `(?!\n)$`: Python's `$` alone lets a last line feed pass.
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\n\t]+(?!\n)$")]
"""One line of text for people."""
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
"""Text of several lines."""


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request body: unknown members are refused."""


class View(msgspec.Struct, kw_only=True):
    """An answer."""


class MoneyView(View):
    """An amount in minor units of its currency: 1250 CNY are 12.50 yuan."""

    amount_minor: int
    currency: str


class Page(View, Generic[ItemT]):
    """A stretch of a list; `next_cursor` is null at its end."""

    items: list[ItemT]
    next_cursor: str | None = None


def money_view(money: Money) -> MoneyView:
    """`money` as it goes on the wire."""
    return MoneyView(amount_minor=money.minor, currency=money.currency)


JsonObject = dict[str, Any]
