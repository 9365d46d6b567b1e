"""The converter's DuckDB: one database per file, which can reach that file and nothing else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.kernel.refusals import Outage
from app.listings.errors import FileRefused

if TYPE_CHECKING:
    import duckdb

THREADS = 2
MEMORY_MAX = "512MB"
TIME_MAX_S = 300.0

_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_JSON_LINE = re.compile(r'(Malformed JSON|JSON transform error) in file "[^"]*",.* in line (\d+)')
_CSV_REASONS = (
    "Expected Number of Columns: ",
    "Value with unterminated quote found",
    "Maximum line size",
    "Invalid unicode",
)
_DISK = ("No space left on device", "Disk quota exceeded", "File too large")


@contextmanager
def closed_database(*paths: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that may open exactly `paths`: no network, no extensions, bounded memory.

    Whatever DuckDB says about the file becomes `FileRefused`; a full disk is an `Outage`.
    """
    import duckdb  # heavy: only a process that converts pays for it

    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": MEMORY_MAX,
            "threads": str(THREADS),
            "temp_directory": "",
        },
    )
    done = threading.Event()
    watch = threading.Thread(target=_interrupt_late, args=(connection, done), daemon=True)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        allowed = ", ".join(literal(str(path)) for path in paths)
        connection.execute(f"SET allowed_paths = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        watch.start()
        yield connection
    except (duckdb.Error, OverflowError, UnicodeDecodeError) as error:
        raise _told(error) from error
    finally:
        done.set()
        connection.close()


def _interrupt_late(connection: duckdb.DuckDBPyConnection, done: threading.Event) -> None:
    """Stop whatever runs once the time is up; again and again, since there are gaps between."""
    if not done.wait(TIME_MAX_S):
        while not done.wait(0.02):
            connection.interrupt()


def literal(text: str) -> str:
    """`text` as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _told(error: Exception) -> FileRefused | Outage:
    """What a person can use of DuckDB's message; never our paths."""
    import duckdb

    text = str(error)
    if any(sign in text for sign in _DISK):
        return Outage("There is no room for the file; try again later.", retry_after_s=60)
    if isinstance(error, duckdb.InterruptException):
        return FileRefused("Reading the file takes too long.", rule="time")
    if isinstance(error, duckdb.OutOfMemoryException):
        return FileRefused("The file has a row or row group too large to read.", rule="memory")
    if line := _CSV_LINE.search(text):
        reason = next((found for found in text.splitlines() if found.startswith(_CSV_REASONS)), "")
        return FileRefused(
            f"Line {line[1]} is not CSV (RFC 4180). {reason}".strip(),
            rule="csv",
            line=int(line[1]),
        )
    if line := _JSON_LINE.search(text):
        return FileRefused(f"Line {line[2]} is not a JSON object.", rule="jsonl", line=int(line[2]))
    return FileRefused("The file cannot be read.", rule="unreadable")
