"""The metered call beside npm `rate-limiter-flexible` on Redis behind Fastify.

The peer keeps an event of each call, as the metered call does, in a stream of the same Redis.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.load import Aim, load_tool, shoot_interleaved, throughput
from tests.bench.metered import FEW, metered
from tests.bench.redis import durable_redis
from tests.bench.report import Bar, Line, NotMeasured
from tests.bench.serving import Shop, bench_shop
from tests.live import free_port

BAR = Bar(1.0)
SOURCE = Path(__file__).parent / "fastify"
HOME = Path(".bench") / "fastify"
WAIT_S = 20


def fastify_lines() -> Iterator[Line]:
    """The metered call / the same page behind Fastify, counted by rate-limiter-flexible."""
    load_tool()
    program = installed()
    with (
        durable_redis() as redis_port,
        bench_shop("embedded") as shop,
        running(program, shop, redis_port) as url,
    ):
        taken = shoot_interleaved(
            {
                "metered": metered(shop, FEW),
                "fastify": Aim(url + shop.page_path, shop.headers, FEW),
            }
        )
    name = f"metered call, embedded, {FEW} connections / Fastify, rate-limiter-flexible on Redis"
    yield throughput(name, taken["metered"], taken["fastify"], BAR)


def installed() -> Path:
    """The peer's program below `.bench/`, its libraries installed as its lock file has them."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise NotMeasured(f"{tool} is missing; on Debian: apt-get install nodejs npm")
    HOME.mkdir(parents=True, exist_ok=True)
    for file in sorted(SOURCE.iterdir()):
        shutil.copy(file, HOME / file.name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        command, cwd=HOME, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise NotMeasured(f"npm ci failed: {done.stderr.strip()[-200:]}")
    return HOME / "server.mjs"


@contextmanager
def running(program: Path, shop: Shop, redis_port: int) -> Iterator[str]:
    """Where the peer serves, until the block ends."""
    port = free_port()
    told = {
        "port": port,
        "redisPort": redis_port,
        "issuer": shop.url,
        "jwk": json.loads(_get(f"{shop.url}/oauth/jwks"))["keys"][0],
        "page": _get(shop.url + shop.page_path, **shop.headers).decode(),
    }
    settings = HOME.resolve() / "peer.json"
    settings.write_text(json.dumps(told))
    env = {**os.environ, "BENCH_PEER": str(settings), "NODE_ENV": "production"}
    process = subprocess.Popen(["node", program.name], cwd=program.parent, env=env)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url + shop.page_path, shop, process)
        yield url
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _wait(url: str, shop: Shop, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            _get(url, **shop.headers)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the peer in Node did not start")


def _get(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())
