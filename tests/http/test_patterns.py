"""Every pattern on the wire holds the whole text: Python's `$` alone lets a last line feed pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from tests.conftest import Api


def patterns_within(node: Any) -> Iterator[str]:
    """The patterns of an OpenAPI document: of bodies' members and of query parameters."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for child in node.values():
            yield from patterns_within(child)
    elif isinstance(node, list):
        for child in node:
            yield from patterns_within(child)


@settings(max_examples=20, deadline=None, database=None)
@given(data=st.data())
def a_line_feed_does_not_fit(pattern: str, data: st.DataObject) -> None:
    kind: Any = Annotated[str, Meta(pattern=pattern)]
    fitting = data.draw(st.from_regex(pattern, fullmatch=True))
    assert msgspec.convert(fitting, kind) == fitting
    for text in (fitting + "\n", "\n" + fitting):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, kind)


def test_no_pattern_lets_a_line_feed_pass_at_either_end(api: Api) -> None:
    patterns = set(patterns_within(api.anonymous().get("/openapi.json").json()))
    assert len(patterns) >= 12
    for pattern in sorted(patterns):
        a_line_feed_does_not_fit(pattern)


def test_a_dollar_sign_alone_would() -> None:
    with pytest.raises(BaseException, match="DID NOT RAISE"):
        a_line_feed_does_not_fit("^[0-9]{3}$")
