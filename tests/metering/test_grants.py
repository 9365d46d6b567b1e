"""Grants in memory: what equal ones share, and what is made only when a call comes."""

from __future__ import annotations

import json
from typing import Any

from app.metering.gateway.admission import GrantBook
from app.metering.grants import NOT_FRAMED, CompiledGrant, compiled_from
from tests.metering.calling import NOON_US
from tests.metering.grant_documents import grant_document, quota

FILE = {"path": "rows.parquet", "columns": [{"name": "a", "type": "VARCHAR"}]}


def grant(name: str, **changes: Any) -> CompiledGrant:
    """A grant with objects of its own, as it comes out of a store."""
    document = grant_document(name, **{"file": FILE, "windows": [quota("day", 5)], **changes})
    return compiled_from(json.loads(json.dumps(document)))


def test_grants_on_a_version_hold_what_is_equal_in_them_once() -> None:
    book = GrantBook()
    one, two = grant("grt_one"), grant("grt_two", windows=[quota("day", 6)])
    book.put(one)
    book.put(two)
    opened = book.get("grt_two")
    assert opened is not None
    assert two.file is not one.file
    assert opened.grant.file is one.file
    assert opened.grant == two


def test_what_only_python_takes_for_equal_is_not_shared() -> None:
    book = GrantBook()
    filters: list[Any] = [{"value": 1}, {"value": True}, {"value": 1.0}]
    for number, row_filter in enumerate(filters):
        book.put(grant(f"grt_{number}", row_filter=row_filter))
    found = [book.get(f"grt_{number}") for number in range(3)]
    kept = [opened.grant.row_filter for opened in found if opened is not None]
    assert json.dumps(kept) == json.dumps(filters)


def test_a_grant_is_framed_by_its_first_call() -> None:
    book = GrantBook()
    book.put(grant("grt_one"))
    opened = book.get("grt_one")
    assert opened is not None
    assert opened.frame is NOT_FRAMED
    assert not NOT_FRAMED.holds(0)
    frame = opened.frame_for(NOON_US)
    assert [counter.limit_units for counter in frame.counters] == [5, None]
    assert opened.frame_for(NOON_US) is frame


def test_a_credential_that_was_sealed_anew_takes_the_place_of_the_one_before() -> None:
    """A worker that kept the old text could open it no more once the old key is dropped."""

    def sealed(text: str, epoch: int = 1, name: str = "grt_one") -> CompiledGrant:
        return grant(name, epoch=epoch, upstream={"auth": {"sealed": text}})

    book = GrantBook()
    for name in ("grt_one", "grt_two"):
        book.put(sealed("v1.k1.a.b", name=name))
    for name in ("grt_one", "grt_two"):
        book.put(sealed("v1.k2.a.b", name=name))
    one, two = book.get("grt_one"), book.get("grt_two")
    assert one is not None
    assert two is not None
    assert one.grant.upstream == {"auth": {"sealed": "v1.k2.a.b"}}
    assert one.grant.upstream is two.grant.upstream, "what is equal is still held once"
    book.put(sealed("v1.k2.a.b"))
    assert book.get("grt_one") is one, "what is the same changes nothing"
    book.put(sealed("v1.k3.a.b", epoch=2))
    book.put(sealed("v1.k2.a.b"))
    newest = book.get("grt_one")
    assert newest is not None
    assert newest.grant.epoch == 2
    assert len(book) == 2
