"""The scene of the OAuth tests: an organisation, its person, and clients of both sorts."""

from __future__ import annotations

import pytest

from tests.accounts.conftest import Parties
from tests.accounts.oauth.scenes import Scene


@pytest.fixture
def scene(parties: Parties) -> Scene:
    return Scene(parties)
