"""Log lines: one that cannot be written fails nobody."""

from __future__ import annotations

import io

import pytest
import structlog

from app.http.logs import PatientStream


def test_a_full_disk_for_logs_loses_lines_and_nothing_else() -> None:
    with open("/dev/full", "wb", buffering=0) as device:
        full = io.TextIOWrapper(device, write_through=True)
        with pytest.raises(OSError, match="No space left"):
            structlog.PrintLogger(full).msg("a line")
        structlog.PrintLogger(PatientStream(full)).msg("a line")  # type: ignore[arg-type]
