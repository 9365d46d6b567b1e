"""A store of hosted rows over a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.metering.hosted import HostedGrant, HostedStore
from tests.metering.hosted.files import grant_on, real_parquet


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HostedStore]:
    opened = HostedStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def gdp(tmp_path: Path) -> HostedGrant:
    return grant_on(real_parquet("world_gdp", tmp_path / "rows.parquet"))
