"""Forms: Stripe's form-encoded bodies with bracketed keys (`created[gte]=1`, `expand[0]=x`)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from app.sandbox.stripe_double.refusals import invalid

Form = dict[str, Any]
"""Nested dictionaries with text at the leaves; a list is a dictionary with keys "0", "1", …"""

MAX_FIELDS = 1_000
MAX_DEPTH = 10

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode_form(text: str) -> Form:
    """The nested values of a query or body; raises a `StripeRefusal` for a meaningless one."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise invalid("The request body is not a form.") from None
    form: Form = {}
    for key, value in pairs:
        _put(form, _path(key), value)
    return form


def _path(key: str) -> list[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise invalid(f"Invalid parameter name: {key}", param=key)
    path = [match[1], *_PART.findall(match[2])]
    if len(path) > MAX_DEPTH:
        raise invalid(f"Too many nested parameters: {key}", param=key)
    return path


def _put(form: Form, path: list[str], value: str) -> None:
    here = form
    for name in path[:-1]:
        inner = here.setdefault(name or str(len(here)), {})
        if not isinstance(inner, dict):
            raise invalid("A parameter is both a value and a group.", param=path[0])
        here = inner
    last = path[-1] or str(len(here))
    if last in here:
        raise invalid("A parameter is given twice.", param=path[0])
    here[last] = value
