"""What the installed SDK says of a request's parameters: its TypedDicts, read at run time.

`problems(operation, form)` names every parameter of a decoded form that the SDK does not know, that
its documentation calls deprecated, that has another type, or that is missing.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import stripe.params as params
from stripe import StripeContext, StripeObject
from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

Form = Mapping[str, Any]

TYPES: Mapping[str, Any] = {
    "POST /v1/account_links": params.AccountLinkCreateParams,
    "POST /v1/accounts": params.AccountCreateParams,
    "GET /v1/accounts": params.AccountListParams,
    "GET /v1/accounts/{id}": params.AccountRetrieveParams,
    "GET /v1/balance": params.BalanceRetrieveParams,
    "GET /v1/balance_transactions": params.BalanceTransactionListParams,
    "GET /v1/balance_transactions/{id}": params.BalanceTransactionRetrieveParams,
    "GET /v1/charges": params.ChargeListParams,
    "GET /v1/charges/{id}": params.ChargeRetrieveParams,
    "POST /v1/checkout/sessions": params.checkout.SessionCreateParams,
    "GET /v1/checkout/sessions": params.checkout.SessionListParams,
    "GET /v1/checkout/sessions/{id}": params.checkout.SessionRetrieveParams,
    "POST /v1/checkout/sessions/{id}/expire": params.checkout.SessionExpireParams,
    "POST /v1/customers": params.CustomerCreateParams,
    "GET /v1/customers": params.CustomerListParams,
    "GET /v1/customers/{id}": params.CustomerRetrieveParams,
    "GET /v1/disputes": params.DisputeListParams,
    "GET /v1/disputes/{id}": params.DisputeRetrieveParams,
    "POST /v1/disputes/{id}": params.DisputeUpdateParams,
    "POST /v1/disputes/{id}/close": params.DisputeCloseParams,
    "GET /v1/events": params.EventListParams,
    "GET /v1/events/{id}": params.EventRetrieveParams,
    "POST /v1/payment_intents": params.PaymentIntentCreateParams,
    "GET /v1/payment_intents": params.PaymentIntentListParams,
    "GET /v1/payment_intents/{id}": params.PaymentIntentRetrieveParams,
    "POST /v1/payment_intents/{id}/cancel": params.PaymentIntentCancelParams,
    "POST /v1/payment_intents/{id}/confirm": params.PaymentIntentConfirmParams,
    "POST /v1/payment_methods": params.PaymentMethodCreateParams,
    "GET /v1/payment_methods": params.PaymentMethodListParams,
    "GET /v1/payment_methods/{id}": params.PaymentMethodRetrieveParams,
    "POST /v1/payment_methods/{id}/attach": params.PaymentMethodAttachParams,
    "POST /v1/payment_methods/{id}/detach": params.PaymentMethodDetachParams,
    "POST /v1/payouts": params.PayoutCreateParams,
    "GET /v1/payouts": params.PayoutListParams,
    "GET /v1/payouts/{id}": params.PayoutRetrieveParams,
    "POST /v1/payouts/{id}/cancel": params.PayoutCancelParams,
    "POST /v1/refunds": params.RefundCreateParams,
    "GET /v1/refunds": params.RefundListParams,
    "GET /v1/refunds/{id}": params.RefundRetrieveParams,
    "POST /v1/transfers": params.TransferCreateParams,
    "GET /v1/transfers": params.TransferListParams,
    "GET /v1/transfers/{id}": params.TransferRetrieveParams,
    "POST /v1/transfers/{id}/reversals": params.TransferReversalCreateParams,
    "GET /v1/transfers/{id}/reversals": params.TransferReversalListParams,
    "GET /v1/transfers/{id}/reversals/{reversal}": params.TransferReversalRetrieveParams,
}


def problems(operation: str, form: Form) -> list[str]:
    """Everything that is wrong with the parameters of a request; empty when nothing is."""
    return list(_wrong_in_group(TYPES[operation], form, ""))


@cache
def hints_of(kind: Any) -> Mapping[str, Any]:
    """The parameters of a TypedDict and their types, without the options of the request."""
    # The SDK imports these two only for type checkers.
    hints = get_type_hints(kind, localns={"Mapping": Mapping, "StripeContext": StripeContext})
    return {
        name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__
    }


def groups_in(hint: Any) -> list[Any]:
    """The TypedDicts that a parameter, or each item of it, may be."""
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in groups_in(inner)]


@cache
def deprecated_in(kind: Any) -> frozenset[str]:
    """The parameters of a TypedDict whose documentation calls themselves deprecated."""
    body = ast.parse(textwrap.dedent(_source(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = set()
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            words = ast.unparse(text.value).lower()
            if re.search(r"(parameter|field) is deprecated|\[deprecated|deprecated\]", words):
                found.add(field.target.id)
    return frozenset(found)


def _source(kind: Any) -> str:
    module = sys.modules[kind.__module__]
    match = re.search(
        rf"^class {kind.__name__}\(.*?(?=^class |\Z)", inspect.getsource(module), re.S | re.M
    )
    assert match, kind
    return match[0]


def _wrong_in_group(kind: Any, form: Form, prefix: str) -> Iterator[str]:
    hints = hints_of(kind)
    for name in kind.__required_keys__ - form.keys() - RequestOptions.__annotations__.keys():
        yield f"{prefix}{name} is missing"
    for name, value in form.items():
        if name not in hints:
            yield f"{prefix}{name} is unknown"
        elif name in deprecated_in(kind):
            yield f"{prefix}{name} is deprecated"
        else:
            yield from _wrong(hints[name], value, f"{prefix}{name}")


def _wrong(hint: Any, value: Any, name: str) -> Iterator[str]:
    choices = _choices(hint)
    complaints = [list(_wrong_as(choice, value, name)) for choice in choices]
    if all(complaints):
        yield from min(complaints, key=len)


def _choices(hint: Any) -> list[Any]:
    if get_origin(hint) not in (Union, UnionType):
        return [hint]
    choices = list(get_args(hint))
    # `Literal[…] | str` admits words of the future; we only send those that are known.
    if any(get_origin(choice) is Literal for choice in choices):
        choices = [choice for choice in choices if choice is not str]
    return choices


def _wrong_as(hint: Any, value: Any, name: str) -> Iterator[str]:
    origin = get_origin(hint)
    if is_typeddict(hint):
        if isinstance(value, Mapping):
            yield from _wrong_in_group(hint, value, f"{name}.")
        else:
            yield f"{name} is not a group"
    elif origin is list:
        if not isinstance(value, Mapping) or list(value) != [str(i) for i in range(len(value))]:
            yield f"{name} is not a list"
        else:
            for index, item in value.items():
                yield from _wrong(get_args(hint)[0], item, f"{name}[{index}]")
    elif origin is dict or (isinstance(origin, type) and issubclass(origin, StripeObject)):
        if not isinstance(value, Mapping):
            yield f"{name} is not a dictionary"
    elif not _is_leaf(hint, value):
        yield f"{name} is not {hint}"


def _is_leaf(hint: Any, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is bool:
        return value in ("true", "false")
    if hint is int:
        return re.fullmatch(r"-?[0-9]+", value) is not None
    if hint is Decimal:
        return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None
    return hint is str
