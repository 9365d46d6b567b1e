"""PgBouncer in front of a test's PostgreSQL, lending its connections for one transaction each."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.live import free_port

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])

# One after the other: no two transactions of ours in a row have the same server connection.
CONFIGURATION = """
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
min_pool_size = 5
server_round_robin = 1
max_client_conn = 200
"""


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """The URL of the same database through a PgBouncer of one's own."""
    program = shutil.which("pgbouncer", path=PATH)
    if program is None:
        raise RuntimeError("This test needs PgBouncer; on Debian: apt-get install pgbouncer")
    direct, port = make_url(url), free_port()
    folder = Path(tempfile.mkdtemp(prefix="zhigu-pgbouncer-"))
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(
            host=direct.query.get("host") or direct.host,
            server_port=direct.port or 5432,
            user=direct.username,
            port=port,
        )
    )
    owner: int | None = None
    if os.geteuid() == 0:  # PgBouncer does not run as root, and the server's socket is the server's
        owner = Path(str(direct.query["host"])).stat().st_uid
        folder.chmod(0o755)
    process = subprocess.Popen([program, "-q", str(configuration)], user=owner)
    try:
        _wait_for(port, process)
        pooled = direct.set(host="127.0.0.1", port=port).set(query={"pool_mode": "transaction"})
        yield pooled.render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
