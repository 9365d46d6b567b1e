"""Snapshots: the world's memory in a file, so that a restart of the sandbox forgets nothing."""

from __future__ import annotations

import json
from pathlib import Path

from app.kernel.sealing import write_private
from app.sandbox.stripe_double.world import Memory

FIELDS = ("objects", "owners", "hidden", "answers", "deliveries")


def save_memory(memory: Memory, path: Path) -> None:
    """Write the whole memory, durably, or leave the older snapshot as it was."""
    content = {name: getattr(memory, name) for name in FIELDS}
    write_private(path, json.dumps(content, ensure_ascii=False).encode())


def load_memory(path: Path) -> Memory:
    """The memory kept at `path`, or an empty one when there is none."""
    if not path.exists():
        return Memory()
    memory = Memory(**json.loads(path.read_text("utf-8")))
    for delivery in memory.deliveries:
        # It was told by a loop that is gone.
        delivery.pop("due", None)
    return memory
