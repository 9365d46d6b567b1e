"""The shop, on each of the two databases."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from tests.conftest import Api
from tests.listings.shop import Shop


@pytest.fixture
def shop(installation: Installation, api: Api) -> Shop:
    return Shop(installation, api)
