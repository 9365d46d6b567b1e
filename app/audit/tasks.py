"""Recurring work of the log."""

from __future__ import annotations

from app.audit.checkpointing import sequence
from app.db.installation import Installation
from app.jobs.kinds import Recurring


def _sequence(installation: Installation) -> None:
    sequence(installation)


SCHEDULE: tuple[Recurring, ...] = (
    Recurring(
        "audit.sequence",
        lambda installation: installation.settings.checkpoint_every_s,
        _sequence,
    ),
)
