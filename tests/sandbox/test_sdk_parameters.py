"""The check of our parameters against the SDK's own types can fail, in each way."""

from __future__ import annotations

import pytest

from tests.sandbox.sdk_parameters import problems

TRANSFER = {"currency": "cny", "destination": "acct_1", "amount": "1"}


def test_a_good_request_has_no_problems() -> None:
    assert problems("POST /v1/transfers", {**TRANSFER, "metadata": {"a": "b"}}) == []


@pytest.mark.parametrize(
    ("operation", "form", "problem"),
    [
        ("POST /v1/transfers", {**TRANSFER, "transfer_gruop": "x"}, "transfer_gruop is unknown"),
        ("POST /v1/transfers", {**TRANSFER, "headers": "x"}, "headers is unknown"),
        ("POST /v1/transfers", {"currency": "cny"}, "destination is missing"),
        ("POST /v1/transfers", {**TRANSFER, "amount": "1.5"}, "amount is not <class 'int'>"),
        ("POST /v1/transfers", {**TRANSFER, "metadata": "x"}, "metadata is not a dictionary"),
        ("POST /v1/accounts", {"type": "express"}, "type is deprecated"),
        (
            "POST /v1/accounts",
            {"controller": {"fees": {"payer": "nobody"}}},
            "controller.fees.payer is not",
        ),
        ("POST /v1/checkout/sessions", {"payment_method_types": {"0": "card"}}, "is unknown"),
        ("POST /v1/checkout/sessions", {"line_items": {"0": {"amount": "1"}}}, "[0].amount is unk"),
        ("POST /v1/checkout/sessions", {"line_items": {"1": {}}}, "line_items is not a list"),
        ("GET /v1/charges", {"created": {"ge": "1"}}, "created.ge is unknown"),
        ("POST /v1/account_links", {"account": "a", "type": "onboarding"}, "type is not"),
    ],
)
def test_a_wrong_parameter_is_named(operation: str, form: dict[str, object], problem: str) -> None:
    assert any(problem in found for found in problems(operation, form)), problems(operation, form)
