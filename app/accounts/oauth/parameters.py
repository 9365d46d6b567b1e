"""Parameters of OAuth: a query or a form, read in one way, before any library sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

MAX_BYTES = 16_384
MAX_FIELDS = 50
FORM = "application/x-www-form-urlencoded"

# Text that may stand in an error of RFC 6749 §5.2, where some of it is repeated.
_PLAIN = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_VISIBLE = re.compile(r"[\x20-\x7e]*")


class ParametersUnreadable(ValueError):
    """The parameters cannot be read; the text says why, in ASCII."""


@dataclass(frozen=True)
class Parameters:
    """Each parameter once; those without a value count as left out (RFC 6749 §3.1)."""

    values: Mapping[str, str]

    def get(self, name: str) -> str:
        """The value of `name`, or empty text."""
        return self.values.get(name, "")


def read_parameters(encoded: bytes) -> Parameters:
    """The parameters of a query or a form; each at most once, in UTF-8."""
    if len(encoded) > MAX_BYTES:
        raise ParametersUnreadable("the parameters are too long")
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:
        raise ParametersUnreadable("the parameters are not a form in UTF-8") from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ParametersUnreadable("a parameter stands twice")
    return Parameters({name: value for name, value in values.items() if value})


def must_be_plain(parameters: Parameters) -> None:
    """Refuse what no OAuth parameter may hold: `state` is visible ASCII, others without quotes."""
    for name, value in parameters.values.items():
        shape = _VISIBLE if name == "state" else _PLAIN
        if not shape.fullmatch(value) or not _PLAIN.fullmatch(name):
            raise ParametersUnreadable("a parameter holds characters that do not belong there")


def is_form(content_type: str | None) -> bool:
    """Whether a body says that it is a form."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM
