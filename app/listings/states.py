"""The life of a listing, as a table; a new version of a listed one walks the same first steps."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.listings.errors import ListingStepRefused


class ListingState(StrEnum):
    """Where a listing stands (`listing_state` of domain.md, as far as it is walked)."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    CORRECTION = "CORRECTION"
    REJECTED = "REJECTED"
    LISTED = "LISTED"
    SUSPENDED = "SUSPENDED"
    DELISTED = "DELISTED"


class Side(StrEnum):
    """In whose name a listing was suspended: only that side resumes it."""

    PROVIDER = "provider"
    ALLIANCE = "alliance"


class Decision(StrEnum):
    """What a reviewer says."""

    APPROVE = "approve"
    REJECT = "reject"
    CORRECT = "correct"


NEXT: Mapping[ListingState, frozenset[ListingState]] = {
    ListingState.DRAFT: frozenset({ListingState.SUBMITTED}),
    ListingState.SUBMITTED: frozenset(
        {ListingState.LISTED, ListingState.CORRECTION, ListingState.REJECTED}
    ),
    ListingState.CORRECTION: frozenset({ListingState.SUBMITTED}),
    ListingState.REJECTED: frozenset(),
    ListingState.LISTED: frozenset({ListingState.SUSPENDED, ListingState.DELISTED}),
    ListingState.SUSPENDED: frozenset({ListingState.LISTED, ListingState.DELISTED}),
    ListingState.DELISTED: frozenset(),
}

DECIDED: Mapping[Decision, ListingState] = {
    Decision.APPROVE: ListingState.LISTED,
    Decision.REJECT: ListingState.REJECTED,
    Decision.CORRECT: ListingState.CORRECTION,
}

EDITABLE = frozenset({ListingState.DRAFT, ListingState.CORRECTION})
"""States of the working copy in which its provider may change it."""

PUBLISHED = frozenset({ListingState.LISTED, ListingState.SUSPENDED})
"""States of a listing that has a version on sale, or will have it again."""


def check_move(here: ListingState, there: ListingState) -> None:
    """Refuse a step that the table does not hold."""
    if there not in NEXT[here]:
        raise ListingStepRefused(
            f"A listing that is {here.value} cannot become {there.value}.",
            state=here.value,
            allowed=sorted(state.value for state in NEXT[here]),
        )
