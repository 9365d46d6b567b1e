"""What the double takes is what Stripe takes: no retired or invented parameter, and no other."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from app.sandbox.stripe_double.operation import Operation
from app.sandbox.stripe_double.operations import OPERATIONS
from app.sandbox.stripe_double.parameters import Spec
from app.sandbox.stripe_double.running import RunningDouble
from tests.sandbox.calling import request
from tests.sandbox.sdk_parameters import TYPES, groups_in, hints_of
from tests.sandbox.stripe_double.sales import Api


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def unknown_names(spec: Spec, kinds: list[Any], prefix: str = "") -> Iterator[str]:
    hints = {name: hint for kind in kinds for name, hint in hints_of(kind).items()}
    for name, parameter in spec.items():
        if name not in hints:
            yield prefix + name
        elif parameter.inner is not None:
            yield from unknown_names(parameter.inner, groups_in(hints[name]), f"{prefix}{name}.")


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_parameter_that_the_double_takes_is_known_to_the_sdk(operation: Operation) -> None:
    assert list(unknown_names(operation.spec, [TYPES[name_of(operation)]])) == []


YUAN = {"amount": 1, "currency": "cny"}
LONG = "k" * 41


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"currency": "cny"}, "parameter_missing", "amount"),
        ({**YUAN, "amuont": 1}, "parameter_unknown", "amuont"),
        ({"amount": "1.5", "currency": "cny"}, "parameter_invalid_integer", "amount"),
        ({"amount": 0, "currency": "cny"}, "parameter_invalid_integer", "amount"),
        ({"amount": -1, "currency": "cny"}, "parameter_invalid_integer", "amount"),
        ({"amount": 100_000_000, "currency": "cny"}, "amount_too_large", "amount"),
        ({"amount": 1, "currency": "yuan"}, None, "currency"),
        ({**YUAN, "customer": "cus_0"}, "resource_missing", "customer"),
        ({**YUAN, "confirm": "yes"}, None, "confirm"),
        ({**YUAN, "confirm": True}, None, "payment_method"),
        ({**YUAN, "metadata": "x"}, None, "metadata"),
        (
            {**YUAN, "metadata": {LONG: "x"}},
            None,
            f"metadata[{LONG}]",
        ),
        (
            {**YUAN, "return_url": "javascript:x"},
            "url_invalid",
            "return_url",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    api: Api, params: dict[str, Any], code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.payment_intents.create(params)
    assert (refused.value.http_status, refused.value.code) == (400, code)
    assert refused.value.param == param
    assert list(api.payment_intents.list()) == []


@pytest.mark.parametrize(
    "given", ["a[b", "a]", "=1", "a=1&a[b]=2", "a[b]=1&a=2", "a=1&a=2", "a=%ff"]
)
def test_a_form_that_means_nothing_is_refused(double: RunningDouble, given: str) -> None:
    headers = {"Authorization": "Bearer sk_test_x"}
    answer = request("POST", f"{double.url}/v1/customers", given, headers)
    assert answer.status == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("key", "status"),
    [("sk_live_x", 401), ("rk_live_x", 401), ("pk_test_x", 401), ("x", 401), ("rk_test_x", 200)],
)
def test_only_a_test_key_is_taken(double: RunningDouble, key: str, status: int) -> None:
    url = f"{double.url}/v1/balance"
    basic = b64encode(f"{key}:".encode()).decode()
    for authorization in (f"Bearer {key}", f"Basic {basic}"):
        assert request("GET", url, headers={"Authorization": authorization}).status == status
    assert request("GET", url).status == 401


def test_an_unknown_path_and_a_missing_object_are_404(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        api.charges.retrieve("ch_0")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        api.invoices.list()
    assert unknown.value.http_status == 404


def test_the_answer_names_the_request_and_the_version(double: RunningDouble) -> None:
    headers = {
        "Authorization": "Bearer sk_test_x",
        "Idempotency-Key": "k",
        "Stripe-Version": "2026-01-28.clover",
    }
    answer = request("POST", f"{double.url}/v1/customers", headers=headers)
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["Idempotency-Key"] == "k"
    assert answer.headers["Stripe-Version"] == "2026-01-28.clover"


@pytest.mark.parametrize("name", ["Idempotency-Key", "Stripe-Account", "Stripe-Version"])
def test_a_header_that_is_not_ascii_is_refused(double: RunningDouble, name: str) -> None:
    headers = {"Authorization": "Bearer sk_test_x", name: "\xe9"}
    assert request("POST", f"{double.url}/v1/customers", headers=headers).status == 400
    assert double.all_of("customer") == []
