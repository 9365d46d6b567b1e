"""Documented: what the document tells that neither a type nor a guard can say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.kernel.refusals import Outage, Refusal

OPTION = "documented"
"""The name in a handler's `opt` under which its `Documented` stands."""

Problem = type[Refusal] | type[Outage]


@dataclass(frozen=True)
class Sample:
    """A body of one media type: what it looks like, and the type of its members if it has one."""

    example: Any
    kind: Any = None


@dataclass(frozen=True)
class Documented:
    """What the signature of a handler does not say of its operation.

    `takes` and `gives` are bodies by media type, where they are not a struct in JSON; `refuses`
    are refusals beside those that its guard, path and body let one expect.
    """

    takes: Mapping[str, Sample] = field(default_factory=dict)
    gives: Mapping[str, Sample] = field(default_factory=dict)
    answer: str = ""
    """What the answer is, where it has no type that says so."""
    refuses: tuple[Problem, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers and what they mean."""
    asks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Request headers that the handler reads by itself: what each means, and looks like."""


NOTHING_MORE = Documented()


@dataclass(frozen=True)
class ApiParts:
    """What is told of the API as a whole: its tags and scopes in a sentence each.

    `foreign_paths` are the path items of what no router sees.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    foreign_paths: Mapping[str, Any] = field(default_factory=dict)
