"""CloudEvents that report use: three forms of one event, and everything that is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from app.kernel.refusals import Malformed
from app.metering.reported.cloudevents import (
    CORRECTED,
    MAX_UNITS,
    REPORTED,
    EventName,
    ReportedUse,
    Unreadable,
    read_binary,
    read_event,
)

AT_US = 1_793_581_200_000_000  # 2026-11-02T01:00:00Z


def event(**changes: Any) -> dict[str, Any]:
    """A well-formed report; a change of None leaves the attribute out."""
    whole = {
        "specversion": "1.0",
        "type": REPORTED,
        "source": "/deliveries",
        "id": "one",
        "subject": "ctr_one",
        "time": "2026-11-02T01:00:00Z",
        "data": {"units": 5},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def correction(**data: Any) -> dict[str, Any]:
    return event(type=CORRECTED, id="two", data={"units": 4, "corrects": {"id": "one"}, **data})


def test_a_report_says_who_what_when_and_how_much() -> None:
    found = read_event(event(data={"units": 5, "operation": "ftp"}))
    assert isinstance(found, ReportedUse)
    assert found.name == EventName("/deliveries", "one")
    assert (found.contract_id, found.at_us, found.units) == ("ctr_one", AT_US, 5)
    assert (found.operation, found.corrects) == ("ftp", None)


def test_a_correction_names_an_event_of_its_own_source_unless_it_says_another() -> None:
    own, other = (
        read_event(correction()),
        read_event(correction(corrects={"source": "/b", "id": "1"})),
    )
    assert isinstance(own, ReportedUse) and isinstance(other, ReportedUse)
    assert (own.corrects, other.corrects) == (EventName("/deliveries", "one"), EventName("/b", "1"))
    nothing_left = read_event(correction(units=0))
    assert isinstance(nothing_left, ReportedUse) and nothing_left.units == 0


def test_the_same_event_is_the_same_in_both_modes_and_in_any_time_zone() -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": REPORTED,
        "ce-source": "/deliveries",
        "ce-id": '"o%6Ee"',
        "ce-subject": "ctr_one",
        "ce-time": "2026-11-02T09:00:00.000000+08:00",
        "ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
    }
    assert read_binary(headers, {"units": 5}) == read_event(event())
    assert read_event(event(time="2026-11-02t01:00:00z", sequence=7)) == read_event(event())


@pytest.mark.parametrize(
    "change",
    [
        {"source": "/other"},
        {"id": "other"},
        {"subject": "ctr_two"},
        {"time": "2026-11-02T01:00:00.000001Z"},
        {"data": {"units": 6}},
        {"data": {"units": 5, "operation": "ftp"}},
    ],
)
def test_whatever_counts_is_part_of_what_an_event_says(change: dict[str, Any]) -> None:
    one, other = read_event(event()), read_event(event(**change))
    assert isinstance(one, ReportedUse) and isinstance(other, ReportedUse)
    assert one.content_sha256 != other.content_sha256


WRONG: dict[str, dict[str, Any]] = {
    "/specversion": {"specversion": "0.3"},
    "/type": {"type": "cn.zhigu.usage.other"},
    "/source": {"source": "a source with spaces"},
    "/id": {"id": "x" * 201},
    "/subject": {"subject": ["ctr_one"]},
    "/time": {"time": "2026-11-02 01:00:00"},
    "/datacontenttype": {"datacontenttype": "text/plain"},
    "/dataschema": {"dataschema": "%"},
    "/data_base64": {"data_base64": "AA=="},
    "/Not_a_name": {"Not_a_name": "x"},
    "/extra": {"extra": 1.5},
    "/long": {"long": "x" * 1001},
    "": {f"e{n}": n for n in range(21)},
    "/data": {"data": [5]},
    "/data/units": {"data": {}},
    "/data/operation": {"data": {"units": 1, "operation": "Not a word"}},
    "/data/a~1b": {"data": {"units": 1, "a/b": 1}},
    "/data/corrects": {"type": CORRECTED},
    "/data/corrects/id": {"type": CORRECTED, "data": {"units": 1, "corrects": {}}},
    "/data/corrects/who": {
        "type": CORRECTED,
        "data": {"units": 1, "corrects": {"id": "one", "who": "me"}},
    },
}


@pytest.mark.parametrize("pointer", WRONG)
def test_what_is_wrong_is_named_by_a_pointer(pointer: str) -> None:
    found = read_event(event(**WRONG[pointer]))
    assert isinstance(found, Unreadable)
    assert [error.pointer for error in found.errors] == [pointer]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = read_event({"id": "one", "data": {"units": 0}})
    assert isinstance(found, Unreadable)
    assert (found.source, found.id) == (None, "one")
    named = {error.pointer for error in found.errors}
    assert named == {"/specversion", "/type", "/source", "/subject", "/time", "/data/units"}
    assert isinstance(read_event("text"), Unreadable)


@pytest.mark.parametrize("units", [0, -1, MAX_UNITS + 1, True, "5", 5.0, None])
def test_units_are_a_whole_number_within_bounds(units: Any) -> None:
    assert isinstance(read_event(event(data={"units": units})), Unreadable)


@pytest.mark.parametrize(
    "time",
    ["2026-11-02", "2026-11-02T01:00:00", "2026-13-02T01:00:00Z", "1999-12-31T23:59:59Z",
     "9999-12-31T23:59:59-12:00", "2026-11-02T01:00:00Z\n", "２026-11-02T01:00:00Z"],
)  # fmt: skip
def test_a_time_is_a_moment_with_its_offset(time: str) -> None:
    assert isinstance(read_event(event(time=time)), Unreadable)


@pytest.mark.parametrize("value", ["%FF", "%E2%80%AE", "%00"])
def test_a_header_is_percent_encoded_text_without_controls(value: str) -> None:
    with pytest.raises(Malformed):
        read_binary({"ce-id": value}, {"units": 1})
