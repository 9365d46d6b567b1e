"""Draining: how a supervisor tells the serving processes that traffic should go elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

FLAG_VARIABLE = "ZHIGU_DRAIN_FLAG"


def is_draining() -> bool:
    """Whether the supervisor has raised its flag: a file that the environment names."""
    flag = os.environ.get(FLAG_VARIABLE)
    return bool(flag) and Path(flag or "").exists()
