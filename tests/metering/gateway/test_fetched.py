"""How many units an answer is, by meter and status: what failed is none."""

from __future__ import annotations

import pytest

from app.metering.gateway.fetched import units_of
from app.metering.grants import compiled_from
from tests.metering.grant_documents import grant_document


@pytest.mark.parametrize(("meter", "units"), [("call", 1), ("row", 7), ("byte", 900), ("item", 1)])
def test_an_answer_is_as_many_units_as_its_meter_says(meter: str, units: int) -> None:
    grant = compiled_from(grant_document(meter=meter))
    assert units_of(grant, 200, 7, 900) == units


@pytest.mark.parametrize(
    ("statuses", "billed"),
    [(None, [200, 206, 299]), ([404], [404]), ([200, 404], [200, 206, 404]), ([206], [206])],
)
def test_only_billable_statuses_are_units_and_no_failure_of_a_server_ever(
    statuses: list[int] | None, billed: list[int]
) -> None:
    grant = compiled_from(grant_document(billable_statuses=statuses))
    asked = (200, 206, 299, 304, 400, 404, 429, 500, 502, 503, 504, 599)
    assert [status for status in asked if units_of(grant, status, 1, 1)] == billed


def test_a_server_failure_is_no_unit_even_where_terms_say_so() -> None:
    grant = compiled_from(grant_document(billable_statuses=[200, 500]))
    assert units_of(grant, 500, 1, 1) == 0
