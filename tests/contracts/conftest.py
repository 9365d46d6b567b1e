"""A market for the tests of contracts."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from tests.conftest import Api
from tests.contracts.market import Market


@pytest.fixture
def market(installation: Installation, api: Api) -> Market:
    return Market(installation, api)
