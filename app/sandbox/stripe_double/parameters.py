"""Parameters: which ones an operation takes, and their types. An unknown one is refused, as Stripe
does: a misspelt parameter must not pass here and fail there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.sandbox.stripe_double.forms import Form
from app.sandbox.stripe_double.refusals import invalid

Reader = Callable[[Any, str], Any]

MAX_TEXT = 5_000
MAX_AMOUNT = 99_999_999
"""Eight digits: 999,999.99 yuan is the most that one payment can be."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: how its value is read, and whether it must be there."""

    read: Reader
    required: bool = False
    inner: Mapping[str, Parameter] | None = None
    """The names inside a group or inside each item of a list."""


Spec = Mapping[str, Parameter]


def read_parameters(form: Form, spec: Spec, prefix: str = "") -> dict[str, Any]:
    """The values of `form` by `spec`, converted; raises a `StripeRefusal` naming the parameter."""
    for name in form:
        if name not in spec:
            full = _full(prefix, name)
            raise invalid(
                f"Received unknown parameter: {full}", param=full, code="parameter_unknown"
            )
    for name, parameter in spec.items():
        if parameter.required and form.get(name) in (None, ""):
            full = _full(prefix, name)
            raise invalid(f"Missing required param: {full}.", param=full, code="parameter_missing")
    return {name: spec[name].read(value, _full(prefix, name)) for name, value in form.items()}


def required(parameter: Parameter) -> Parameter:
    """The same parameter, one that must be there."""
    return Parameter(parameter.read, required=True, inner=parameter.inner)


def group(spec: Spec) -> Parameter:
    """A parameter that holds named parameters."""

    def read(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid(f"Invalid object: {name}", param=name)
        return read_parameters(value, spec, name)

    return Parameter(read, inner=spec)


def list_of(item: Parameter) -> Parameter:
    """A parameter that holds a list, each of whose items is read like `item`."""

    def read(value: Any, name: str) -> list[Any]:
        if not isinstance(value, dict) or list(value) != [str(i) for i in range(len(value))]:
            raise invalid(f"Invalid array: {name}", param=name)
        return [item.read(inner, f"{name}[{number}]") for number, inner in value.items()]

    return Parameter(read, inner=item.inner)


def one_of(*words: str) -> Parameter:
    """A parameter with a fixed set of values."""

    def read(value: Any, name: str) -> str:
        if value not in words:
            raise invalid(f"Invalid {name}: must be one of {', '.join(words)}", param=name)
        return str(value)

    return Parameter(read)


def _full(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _read_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {name}", param=name)
    if len(value) > MAX_TEXT:
        raise invalid(f"Invalid string: {name} is too long.", param=name)
    return value


def _read_url(value: Any, name: str) -> str:
    text = _read_text(value, name)
    if not re.match(r"https?://[^/\s]+", text):
        raise invalid("Not a valid URL", param=name, code="url_invalid")
    return text


def _read_whole(value: Any, name: str) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
    return int(value)


def _read_amount(value: Any, name: str) -> int:
    amount = _read_whole(value, name)
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.",
            param=name,
            code="parameter_invalid_integer",
        )
    if amount > MAX_AMOUNT:
        raise invalid(
            "Amount must be no more than 999,999.99.", param=name, code="amount_too_large"
        )
    return amount


def _read_flag(value: Any, name: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def _read_currency(value: Any, name: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z]{3}", value.lower()):
        raise invalid(f"Invalid currency: {value}", param=name)
    return value.lower()


def _read_metadata(value: Any, name: str) -> dict[str, str]:
    if value == "":
        return {}
    if not isinstance(value, dict) or len(value) > 50:
        raise invalid("Metadata holds up to 50 keys.", param=name)
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 500:
            raise invalid(f"Invalid metadata: {key}", param=f"{name}[{key}]")
    return {key: text for key, text in value.items() if text}


def _read_created(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return {"gte": _read_whole(value, name), "lte": _read_whole(value, name)}
    return read_parameters(value, dict.fromkeys(("gt", "gte", "lt", "lte"), WHOLE), name)


def _read_limit(value: Any, name: str) -> int:
    limit = _read_whole(value, name)
    if not 1 <= limit <= 100:
        raise invalid("Limit is between 1 and 100.", param=name, code="parameter_invalid_integer")
    return limit


TEXT = Parameter(_read_text)
URL = Parameter(_read_url)
WHOLE = Parameter(_read_whole)
AMOUNT = Parameter(_read_amount)
FLAG = Parameter(_read_flag)
CURRENCY = Parameter(_read_currency)
METADATA = Parameter(_read_metadata)
EXPAND: Spec = {"expand": list_of(TEXT)}
LISTED: Spec = {
    **EXPAND,
    "created": Parameter(_read_created),
    "ending_before": TEXT,
    "limit": Parameter(_read_limit),
    "starting_after": TEXT,
}
