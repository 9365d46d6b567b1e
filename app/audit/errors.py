"""What the log refuses.

RowNotFound (404)      there is no such leaf, tile or tree size
NotYetSealed (409)     the leaf is not under a checkpoint yet; ask again in a second

`LogBroken` is no refusal: rows of the log were changed, and the log stops rather than sign that.
"""

from __future__ import annotations

from typing import ClassVar

from app.kernel.refusals import StepNotAllowed


class NotYetSealed(StepNotAllowed):
    """What is asked for is not under a signed checkpoint yet."""

    slug: ClassVar[str] = "not-yet-sealed"
    title: ClassVar[str] = "Not yet sealed"


class LogBroken(RuntimeError):
    """The stored log contradicts what it has signed; `zhigu fsck` names the row."""
