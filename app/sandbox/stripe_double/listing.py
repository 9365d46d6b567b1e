"""Listing: pages of objects, newest first, and objects in place of their ids (`expand`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import islice

from app.sandbox.stripe_double.refusals import invalid, no_such
from app.sandbox.stripe_double.world import Call, Json, World

DEFAULT_LIMIT = 10


def page(
    world: World, call: Call, kind: str, url: str, keep: Callable[[Json], bool] = lambda _: True
) -> Json:
    """The page of a kind's objects that the call's `created`, cursors and `limit` ask for."""
    window = call.params.get("created", {})
    found = [
        thing
        for thing in world.all_of(kind, call.account)
        if keep(thing) and _within(thing["created"], window)
    ]
    limit = call.params.get("limit", DEFAULT_LIMIT)
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    if after and before:
        raise invalid("Give starting_after or ending_before, not both.", param="ending_before")
    if before:
        newer = found[: _position(found, before, kind, "ending_before")]
        return _list(url, newer[-limit:], has_more=len(newer) > limit)
    older = found[_position(found, after, kind, "starting_after") + 1 :] if after else found
    return _list(url, list(islice(older, limit)), has_more=len(older) > limit)


def whole_list(url: str, things: list[Json]) -> Json:
    """A list inside another object."""
    return _list(url, things, has_more=False)


def expand(world: World, answer: Json, path: str) -> Json:
    """A copy of `answer` with the object in place of the id at `path` (`charge.customer`)."""
    expanded = copy.deepcopy(answer)
    _expand(world, expanded, path.split("."), path)
    return expanded


def _expand(world: World, thing: Json, names: list[str], path: str) -> None:
    name, *rest = names
    if name not in thing:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    value = thing[name]
    if isinstance(value, str):
        other = world.memory.objects.get(value)
        if other is None:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        value = thing[name] = copy.deepcopy(other)
    for inner in value if isinstance(value, list) else [value]:
        if rest and inner is not None:
            _expand(world, inner, rest, path)


def _position(found: list[Json], given: str, kind: str, param: str) -> int:
    for index, thing in enumerate(found):
        if thing["id"] == given:
            return index
    raise no_such(kind, given, param)


def _within(created: int, window: dict[str, int]) -> bool:
    return (
        created > window.get("gt", created - 1)
        and created >= window.get("gte", created)
        and created < window.get("lt", created + 1)
        and created <= window.get("lte", created)
    )


def _list(url: str, things: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "data": things, "has_more": has_more, "url": url}
