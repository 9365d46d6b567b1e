"""The demo's upstream: a provider's small live API, answered from real data, behind an API key.

GET /v1/divisions/{code}                    an administrative division of China, and what it lies in
GET /v1/divisions?name=&limit=              divisions whose name holds a text
GET /v1/countries/{code}/gdp-per-head?year= product per head, computed from two data sets
GET /_count?observer=                       what was asked and served: the independent observer

`GET /_count` tells calls apart by the query parameter or header `observer`, where one was given.
`python -m app.sandbox.upstream --port N --key K` serves it; `--faults` adds `/faults/…`.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from aiohttp import web

from app.sandbox.places import Atlas, division, find_divisions, gdp_per_head, load_atlas
from app.sandbox.threads import HOST, ThreadServer, serve_in_thread, serve_process
from app.sandbox.upstream_faults import fault_routes

KEY_HEADER = "X-Api-Key"
OBSERVER = "observer"
MAX_FOUND = 100

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Counts:
    """What this upstream saw with its own eyes, by observer; "" stands for calls without one."""

    asked: Counter[str] = field(default_factory=Counter)
    """Requests that came with a good key."""
    served: Counter[str] = field(default_factory=Counter)
    """Those that got an answer below 400."""


def make_upstream(key: str, counts: Counts, *, faults: bool = False) -> web.Application:
    """The application; `faults` adds the paths that misbehave."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/_count":
            return await handler(request)
        given = request.headers.get(KEY_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), key.encode()):
            return _problem(401, "A good X-Api-Key is needed.")
        observer = request.query.get(OBSERVER, request.headers.get(OBSERVER, ""))
        counts.asked[observer] += 1
        response = await handler(request)
        if response.status < 400:
            counts.served[observer] += 1
        return response

    app = web.Application(middlewares=[guard])
    api = _Api(load_atlas(), counts)
    app.router.add_get("/v1/divisions/{code}", api.division)
    app.router.add_get("/v1/divisions", api.divisions)
    app.router.add_get("/v1/countries/{code}/gdp-per-head", api.gdp_per_head)
    app.router.add_get("/_count", api.count)
    if faults:
        app.router.add_routes(fault_routes())
    return app


class _Api:
    def __init__(self, atlas: Atlas, counts: Counts) -> None:
        self._atlas = atlas
        self._counts = counts

    async def division(self, request: web.Request) -> web.Response:
        found = division(self._atlas, request.match_info["code"])
        return _problem(404, "There is no such division.") if found is None else _json(found)

    async def divisions(self, request: web.Request) -> web.Response:
        name, limit = request.query.get("name", ""), request.query.get("limit", "20")
        if not name or not limit.isdecimal() or not 1 <= int(limit) <= MAX_FOUND:
            return _problem(400, f"Give a name, and a limit from 1 to {MAX_FOUND}.")
        return _json({"items": find_divisions(self._atlas, name, int(limit))})

    async def gdp_per_head(self, request: web.Request) -> web.Response:
        year = request.query.get("year", "")
        if not year.isdecimal():
            return _problem(400, "Give a year.")
        found = gdp_per_head(self._atlas, request.match_info["code"], int(year))
        return _problem(404, "No figures for this year.") if found is None else _json(found)

    async def count(self, request: web.Request) -> web.Response:
        observer = request.query.get(OBSERVER)
        if observer is None:
            return _json(
                {"asked": self._counts.asked.total(), "served": self._counts.served.total()}
            )
        return _json(
            {"asked": self._counts.asked[observer], "served": self._counts.served[observer]}
        )


def _json(body: Any) -> web.Response:
    return web.json_response(body)


def _problem(status: int, detail: str) -> web.Response:
    body = {"status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


@dataclass(frozen=True, eq=False)
class RunningUpstream:
    """An upstream in a thread of this process."""

    server: ThreadServer
    counts: Counts
    key: str

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.server.url

    def asked(self, observer: str | None = None) -> int:
        """How many calls came, in all or of one observer."""
        return self._sum(self.counts.asked, observer)

    def served(self, observer: str | None = None) -> int:
        """How many were answered below 400, in all or of one observer."""
        return self._sum(self.counts.served, observer)

    def _sum(self, counter: Counter[str], observer: str | None) -> int:
        return self.server.run(lambda: counter.total() if observer is None else counter[observer])


@contextmanager
def running_upstream(
    key: str = "upstream-key", *, faults: bool = True
) -> Iterator[RunningUpstream]:
    """An upstream on a free port of this machine, until the block ends."""
    counts = Counts()
    with serve_in_thread(lambda: make_upstream(key, counts, faults=faults)) as server:
        yield RunningUpstream(server, counts, key)


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--key", required=True, help="What callers send as X-Api-Key.")
@click.option("--faults", is_flag=True, help="Add paths that misbehave.")
def main(port: int, key: str, faults: bool) -> None:
    """Serve the demo's upstream on 127.0.0.1."""
    click.echo(f"the demo upstream is at http://{HOST}:{port}", err=True)
    serve_process(make_upstream(key, Counts(), faults=faults), port)


if __name__ == "__main__":
    main()
