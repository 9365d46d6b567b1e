"""What the log refuses.

RowNotFound (404)      there is no such leaf, tile or tree size
NotYetSealed (409)     the leaf is not under a checkpoint yet; ask again in a second
"""

from __future__ import annotations

from typing import ClassVar

from app.kernel.refusals import StepNotAllowed


class NotYetSealed(StepNotAllowed):
    """What is asked for is not under a signed checkpoint yet."""

    slug: ClassVar[str] = "not-yet-sealed"
    title: ClassVar[str] = "Not yet sealed"
