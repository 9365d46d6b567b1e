"""Upstream faults: paths of the demo's upstream that misbehave, each in one way (F-D1).

hang?seconds=        no answer, for a long time     status/{code}    that status
slow?bytes=&every_s= a byte now and then            redirect?to=     302 to there
huge?bytes=          more than anybody wants        cookie           sets a cookie
short?bytes=         less than its Content-Length   gzip?bytes=      zeros, packed
broken               ends in the middle of a chunk  echo?status=     the request's own headers
html                 a page with a script
"""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web

MAX_BYTES = 100_000_000_000
CHUNK = b"x" * 65_536


def fault_routes() -> list[web.RouteDef]:
    """The routes, all under `/faults/`."""
    handlers = (_hang, _slow, _huge, _short, _broken, _redirect, _cookie, _gzip, _echo, _html)
    routes = [
        web.get(f"/faults/{handler.__name__.removeprefix('_')}", handler) for handler in handlers
    ]
    return [*routes, web.get(r"/faults/status/{code:[2-5]\d\d}", _status)]


async def _hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(float(request.query.get("seconds", "3600")))
    return web.Response(text="at last")


async def _slow(request: web.Request) -> web.StreamResponse:
    size, every_s = _bytes(request, 10), float(request.query.get("every_s", "1"))
    response = web.StreamResponse(headers={"Content-Length": str(size)})
    await response.prepare(request)
    for _ in range(size):
        await response.write(b"x")
        await asyncio.sleep(every_s)
    return response


async def _huge(request: web.Request) -> web.StreamResponse:
    left = _bytes(request, MAX_BYTES)
    response = web.StreamResponse()
    await response.prepare(request)
    while left > 0:
        await response.write(CHUNK[:left])
        left -= len(CHUNK)
    return response


async def _short(request: web.Request) -> web.StreamResponse:
    size = _bytes(request, 10)
    response = web.StreamResponse(headers={"Content-Length": str(size + 1)})
    await response.prepare(request)
    await response.write(b"x" * size)
    return _hang_up(request, response)


async def _broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"the beginning")
    return _hang_up(request, response)


async def _status(request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.match_info["code"]))


async def _redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.query.get("to", "/")})


async def _cookie(_: web.Request) -> web.StreamResponse:
    return web.Response(text="{}", headers={"Set-Cookie": "session=stolen; Path=/"})


async def _gzip(request: web.Request) -> web.StreamResponse:
    packed = gzip.compress(bytes(min(_bytes(request, 1_000_000), 100_000_000)))
    return web.Response(body=packed, headers={"Content-Encoding": "gzip"})


async def _echo(request: web.Request) -> web.StreamResponse:
    status = int(request.query.get("status", "200"))
    return web.json_response(dict(request.headers), status=status)


async def _html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<script>alert(1)</script>", content_type="text/html")


def _bytes(request: web.Request, default: int) -> int:
    return min(int(request.query.get("bytes", default)), MAX_BYTES)


def _hang_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        # Unlike `abort`, what was written is still sent.
        request.transport.close()
    return response
