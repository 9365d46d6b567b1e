"""The proxy's policy: what the buyer gets and pays for, by how a call to an upstream ends."""

from __future__ import annotations

from typing import NamedTuple


class Ending(NamedTuple):
    """One way in which a call can end."""

    how: str
    answer: str
    counted: str


POLICY: tuple[Ending, ...] = (
    Ending(
        "2xx, whole",
        "as it came",
        "by the meter, unless the plan leaves the status out (where it bills 200 it bills 206)",
    ),
    Ending("4xx, but 401 and 407", "as it came", "only where the plan bills the status"),
    Ending("1xx, 3xx, 401, 407 or 5xx", "502 `upstream-failed`", "no"),
    Ending("no connection", "502 `upstream-failed`", "no"),
    Ending("an answer that is broken or ends early", "502 `upstream-failed`", "no"),
    Ending("an answer that shows the provider's credential", "502 `upstream-failed`", "no"),
    Ending("an answer larger than the listing allows", "502 `upstream-too-large`", "no"),
    Ending("an answer that is not complete in time", "504 `upstream-timeout`", "no"),
    Ending(
        "the upstream breaks off after the first byte went out",
        "cut short",
        "no: a second event gives the unit back, if the usage store is away as soon as it is there"
        " again; where our server is killed before that, a repeat under the call's"
        " `Idempotency-Key` is not counted. Where repeats under that key were sent out too, the"
        " unit is given back when every one of them has broken off, and a repeat that broke off"
        " is not one of those that the key has",
    ),
    Ending("the buyer hangs up after the first byte went out", "cut short", "yes"),
    Ending("the answer has more units than the quota", "429 `quota-exhausted`", "no"),
)
"""An answer that is held back or cut short because of the provider never costs; what the buyer does
after it was counted, hanging up or reading too slowly, does not take the call back."""
