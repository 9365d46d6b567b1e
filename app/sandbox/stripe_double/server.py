"""The server: Stripe's paths, the buyer's and provider's pages, and the controls of the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from app.sandbox.stripe_double.accounts import finish_onboarding, link_of
from app.sandbox.stripe_double.answering import WireAnswer, WireRequest
from app.sandbox.stripe_double.checkout import complete_session, find_session, lines_of
from app.sandbox.stripe_double.controls import control_routes
from app.sandbox.stripe_double.double import StripeDouble
from app.sandbox.stripe_double.pages import HEADERS, checkout_page, notice_page, setup_page
from app.sandbox.stripe_double.refusals import StripeRefusal
from app.sandbox.stripe_double.world import World

BODY_MAX_BYTES = 1_000_000


def make_app(double: StripeDouble) -> web.Application:
    """The application that serves `double`."""
    app = web.Application(client_max_size=BODY_MAX_BYTES)
    server = _Server(double)
    app.router.add_get("/pay/{session}", server.show_checkout)
    app.router.add_post("/pay/{session}", server.pay)
    app.router.add_get("/setup/{link}", server.show_setup)
    app.router.add_post("/setup/{link}", server.finish_setup)
    app.router.add_routes(control_routes(double))
    app.router.add_route("*", "/{path:.*}", server.call_api)

    async def deliver(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(double.deliverer.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        double.save()

    app.cleanup_ctx.append(deliver)
    return app


class _Server:
    def __init__(self, double: StripeDouble) -> None:
        self._double = double

    async def call_api(self, request: web.Request) -> web.Response:
        body = await request.text()
        answer = await self._double.answer(
            WireRequest(
                request.method,
                request.path,
                request.query_string if request.method == "GET" else body,
                {name.lower(): value for name, value in request.headers.items()},
            )
        )
        return _drop(request) if answer.dropped else _response(answer)

    async def show_checkout(self, request: web.Request) -> web.Response:
        session_id = request.match_info["session"]
        try:
            session = self._double.change(lambda world: find_session(world, session_id))
        except StripeRefusal:
            return _notice(404, "Not found", "There is no such checkout page.")
        if session["status"] != "open":
            return _notice(410, "Checkout", f"This page is {session['status']}.")
        return _page(checkout_page(session, lines_of(self._double.world, session)))

    async def pay(self, request: web.Request) -> web.Response:
        session_id = request.match_info["session"]
        form = await request.post()
        decline = "generic_decline" if form.get("outcome") == "declined" else None

        def complete(world: World) -> str:
            session = complete_session(world, find_session(world, session_id), decline)
            return str(session["success_url"])

        try:
            target = self._double.change(complete)
        except StripeRefusal as refusal:
            return _notice(refusal.status, "Not paid", str(refusal))
        return _see_other(target.replace("{CHECKOUT_SESSION_ID}", session_id))

    async def show_setup(self, request: web.Request) -> web.Response:
        link = link_of(self._double.world, request.match_info["link"])
        if link is None:
            return _notice(410, "Link expired", "Ask for a new link.")
        return _page(setup_page(link["account"]))

    async def finish_setup(self, request: web.Request) -> web.Response:
        link = link_of(self._double.world, request.match_info["link"])
        if link is None:
            return _notice(410, "Link expired", "Ask for a new link.")
        self._double.change(lambda world: finish_onboarding(world, link["account"]))
        if not link["return_url"]:
            return _notice(200, "Done", "The payout account is ready.")
        return _see_other(link["return_url"])


def _response(answer: WireAnswer) -> web.Response:
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


def _drop(request: web.Request) -> web.Response:
    """End the connection without an answer, as a network does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _page(html: str, status: int = 200) -> web.Response:
    return web.Response(text=html, status=status, content_type="text/html", headers=HEADERS)


def _notice(status: int, title: str, text: str) -> web.Response:
    return _page(notice_page(title, text), status)


def _see_other(target: str) -> web.Response:
    return web.Response(status=303, headers={**HEADERS, "Location": target})
