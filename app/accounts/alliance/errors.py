"""How the alliance says no.

Refusal
├── StepNotAllowed
│   ├── SeatOver              a seat that has ended does not end       409
│   └── CharterLater          a newer version was published already    409
└── RuleBroken
    ├── SeatDatesRefused      a term has a first day and a last        422
    ├── SeatsOverlap          one role, held once at a time            422
    └── CharterRefused        not a version that one could vote by     422
"""

from __future__ import annotations

from app.kernel.refusals import RuleBroken, StepNotAllowed


class SeatOver(StepNotAllowed):
    """A seat that has ended does not end again."""

    slug = "seat-over"
    title = "Seat has ended"


class CharterLater(StepNotAllowed):
    """A version of the charter takes effect after every earlier one."""

    slug = "charter-later"
    title = "A later version is there"


class SeatDatesRefused(RuleBroken):
    """A term has a day at least, and ends neither in the past nor later than it was given for."""

    slug = "seat-dates-refused"
    title = "Dates not possible"


class SeatsOverlap(RuleBroken):
    """An organisation holds a role of the alliance once at a time."""

    slug = "seats-overlap"
    title = "Role held already"


class CharterRefused(RuleBroken):
    """The charter takes effect in the past, or says nothing that one could vote by."""

    slug = "charter-refused"
    title = "Charter not possible"
