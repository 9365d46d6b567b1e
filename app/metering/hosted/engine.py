"""The query engine: DuckDB in a few threads of its own, shut off from everything but its files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.metering.hosted.errors import HostedBusy, QueryTooSlow
from app.metering.hosted.sql import literal

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")

THREADS = 2
WAITING_MAX = 64
MEMORY_MAX = "512MB"


class _Job:
    """One run of a query that another thread may stop."""

    def __init__(self) -> None:
        self.has_begun = False
        self.on_begin: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._stopped = False

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        with self._lock:
            if self._stopped:
                raise _Stopped
            self._connection = connection
            self.has_begun = True
        if self.on_begin is not None:
            self.on_begin()

    def end(self) -> None:
        with self._lock:
            self._connection = None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()


class _Stopped(Exception):
    """The job was stopped before it began."""


class QueryEngine:
    """Runs queries over the Parquet files below `root`, each in at most `timeout_s`.

    The wait for its turn is of that time, unless `wait_s` is given for it.
    """

    def __init__(
        self, root: Path, timeout_s: float, threads: int = THREADS, wait_s: float | None = None
    ) -> None:
        self.root = root.resolve()
        self.timeout_s = timeout_s
        self._wait_s = wait_s
        self.scratch = Path(tempfile.mkdtemp(prefix="zhigu-rows-"))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="rows")
        self._own = threading.local()
        self._opening = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._jobs: set[_Job] = set()

    async def run(self, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """What `work` returns on a connection of a thread of ours.

        Raises `HostedBusy` when too many wait or its turn does not come, `QueryTooSlow` after the
        time is up (the query is stopped), and whatever `work` raises.
        """
        job = _Job()
        if len(self._jobs) >= WAITING_MAX:
            raise HostedBusy("Too many queries wait for their turn; try again.")
        self._jobs.add(job)
        try:
            async with asyncio.timeout(self._wait_s or self.timeout_s) as deadline:
                loop = asyncio.get_running_loop()
                if self._wait_s is not None:
                    job.on_begin = partial(loop.call_soon_threadsafe, self._begun, job, deadline)
                return await loop.run_in_executor(self._threads, self._run, job, work)
        except TimeoutError:
            if not job.has_begun:
                raise HostedBusy("Too many queries wait for their turn; try again.") from None
            raise QueryTooSlow("The query takes too long; ask for less of it.") from None
        finally:
            job.stop()
            self._jobs.discard(job)

    def _begun(self, job: _Job, deadline: asyncio.Timeout) -> None:
        """Its turn has come: from now on its own time runs."""
        if job in self._jobs and not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time() + self.timeout_s)

    def close(self) -> None:
        """Stop every query and remove what they left."""
        for job in self._jobs:
            job.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._database is not None:
            self._database.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _run(self, job: _Job, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        connection = self._connection()
        job.begin(connection)
        try:
            return work(connection)
        finally:
            job.end()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's own connection to the one in-memory database."""
        if not hasattr(self._own, "connection"):
            with self._opening:
                if self._database is None:
                    self._database = self._open()
                self._own.connection = self._database.cursor()
        found: duckdb.DuckDBPyConnection = self._own.connection
        return found

    def _open(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # here, because a process that never answers rows need not load it

        database = duckdb.connect(
            ":memory:",
            config={
                "threads": THREADS,
                "memory_limit": MEMORY_MAX,
                "temp_directory": "",
                # What has no ORDER BY comes in the file's order: pages and made files rely on it.
                "preserve_insertion_order": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
            },
        )
        folders = ", ".join(literal(f"{folder}/") for folder in (self.root, self.scratch))
        database.execute(f"SET allowed_directories = [{folders}]")
        # A version's file never changes: its footer is read once.
        database.execute("SET parquet_metadata_cache = true")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        return database
