"""Shapes that every package's API uses."""

from __future__ import annotations

import msgspec
import pytest

from app.http.schemas import Line


@pytest.mark.parametrize("text", ["", "a\n", "\na", "a\nb", "a\t", "x" * 201])
def test_a_line_is_one_line(text: str) -> None:
    assert msgspec.convert("世界各国 GDP", Line)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Line)
