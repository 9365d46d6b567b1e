"""How conditions say no.

Malformed
└── QueryRefused      a condition, or a query with one, cannot be read     400
"""

from __future__ import annotations

from app.kernel.refusals import Malformed


class QueryRefused(Malformed):
    """The query cannot be read: which parameter, and at which character of its decoded value."""

    slug = "query-refused"
    title = "Query not understood"

    def __init__(self, detail: str, parameter: str, position: int = 0) -> None:
        super().__init__(detail, parameter=parameter, position=position)
        self.parameter = parameter
        self.position = position
