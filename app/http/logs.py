"""Logs: JSON lines on stderr with an allow-list of fields: no bodies, tokens or cookies."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

ALLOWED_FIELDS = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "logger",
        "request_id",
        "method",
        "route",
        "status",
        "actor",
        "duration_ms",
        "job",
        "job_id",
        "error",
        "trace",
        "store",
        "pid",
        "port",
        "count",
        "reason",
        "slug",
        "worker",
    ]
)


class PatientStream:
    """A stream whose lines are lost when it cannot take them: a full disk for logs fails nobody."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose, the text."""
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be."""
        with suppress(OSError):
            self._stream.flush()


def configure_logs() -> None:
    """Send every log line to stderr as JSON; called once per process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed_fields,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, PatientStream(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def only_allowed_fields(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field that is not on the allow-list."""
    return {name: value for name, value in event.items() if name in ALLOWED_FIELDS}
