"""What constraints say of a listing, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.kernel.actor import OPERATOR
from app.listings.models import Listing
from app.listings.states import ListingState
from tests.listings.shop import Shop


@pytest.mark.parametrize(
    "change",
    [
        {"state": ListingState.SUSPENDED},
        {"state": ListingState.DRAFT},
        {"version_id": None},
        {"revision_state": ListingState.LISTED},
        {"edit": 0},
    ],
)
def test_the_store_refuses_a_listing_that_contradicts_itself(
    shop: Shop, change: dict[str, Any]
) -> None:
    listing_id = shop.listed()
    with (
        pytest.raises(IntegrityError),
        shop.installation.transaction(OPERATOR) as session,
    ):
        listing = session.get_one(Listing, listing_id)
        for name, value in change.items():
            setattr(listing, name, value)
        session.add(listing)
        session.flush()
