"""The gateway: one raw ASGI application through which all data are called.

Admit from memory, fetch, settle on disk, and only then send the first byte. No ORM, no log line
and no thread on the way of a call like one that was seen before.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from app.accounts.oauth.liveness import subjects_of
from app.accounts.oauth.tokens import TokenVerifier
from app.db.installation import Installation
from app.kernel.actor import ANONYMOUS
from app.kernel.ids import new_id
from app.kernel.refusals import Refusal, RowNotFound
from app.listings.queries import is_on_sale
from app.metering.errors import GrantsStale, NoGrant
from app.metering.gateway.admission import NO_GRANT, GrantBook, OpenGrant
from app.metering.gateway.answering import (
    key_refusal,
    refuse_outcome,
    refuse_outgrown,
    send_data,
    send_problem,
)
from app.metering.gateway.bodies import BodyRoom
from app.metering.gateway.fetched import Fetched
from app.metering.gateway.fetching import CHANNELS, Fetcher
from app.metering.gateway.methods import refuse_method
from app.metering.gateway.principals import PrincipalCache, VerifyToken
from app.metering.gateway.requests import DataRequest, read_request
from app.metering.gateway.streams import Receive, Send
from app.metering.gateway.voiding import Voids
from app.metering.gateway.watching import Watcher
from app.metering.grants import CompiledGrant
from app.metering.tally.calls import KEY_LIFE_US, Call, Outcome, Settled
from app.metering.tally.tally import Tally, open_tally

Scope = MutableMapping[str, Any]

MAX_ROUNDS = 4
# A POST is sent once: the provider may have carried it out.
CHANGED_UNDER_BODY = (
    "The contract was changed during the call, which was not counted; whether the provider has"
    " carried it out is not known."
)
UPSTREAM_REPLAY_US = 10 * 60 * 1_000_000

Served = tuple[Fetched, Settled | None, OpenGrant]


class Gateway:
    """Serves `/data/…`; belongs to one event loop, in one of `workers` processes."""

    def __init__(
        self, installation: Installation, verify_token: VerifyToken, workers: int = 1
    ) -> None:
        self._installation = installation
        self._clock = installation.clock
        self._bodies = BodyRoom(installation.settings.body_max_bytes)
        self._grants = GrantBook(workers)
        self._turns_at = installation.settings.home / "tally.turns" if workers > 1 else None
        self._principals = PrincipalCache(verify_token, subjects_of)
        self.watcher = Watcher(installation, self._grants, self._principals)
        self._tally: Tally
        self._voids: Voids
        self._fetcher: Fetcher

    async def start(self) -> None:
        """Load what was granted and begin to settle; comes up even while the stores are away."""
        usage_url = self._installation.settings.store_url("usage")
        self._tally = open_tally(usage_url, self._turns_at)
        self._tally.start()
        self._voids = Voids(self._tally, self._clock)
        self._fetcher = Fetcher(self._installation)
        await self.watcher.start()

    async def stop(self) -> None:
        """Settle what waits and let go of everything."""
        await self.watcher.stop()
        await self._voids.close()
        await self._tally.stop()
        await self._fetcher.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            request = read_request(scope)
            if request.method == "POST":
                fetched, settled, opened = await self._serve_posted(request, receive)
            else:
                fetched, settled, opened = await self._serve(request)
        except Exception as error:  # noqa: BLE001 - every failure becomes a problem document
            await send_problem(send, error)
            return
        whole = await send_data(receive, send, scope["method"], fetched, settled, opened)
        if not whole and settled is not None:
            await self._voids.take_back(opened.grant.grant_id, settled, request.key_sha256)

    async def _serve_posted(self, request: DataRequest, receive: Receive) -> Served:
        """What `_serve` gives for a POST; its body is read once it is admitted in all else."""
        await self._catch_up()
        opened = await self._admit(request, self._clock.now_us())
        if not self._fetcher.needs_body(opened, request):
            request.body = b""  # there is nothing that would take one
            return await self._serve(request)
        async with self._bodies.read(receive, request.headers, opened.grant) as body:
            request.body = body
            try:
                return await self._serve(request)  # that took a while: all is asked anew
            finally:
                request.body = None  # its place is given back, however long the answer takes

    async def _serve(self, request: DataRequest) -> Served:
        """What was fetched, how it was settled (None: it does not count), and under which grant."""
        if not self.watcher.is_current:
            await self._catch_up()
        for _ in range(MAX_ROUNDS):
            opened = await self._admit(request, self._clock.now_us())
            opened.in_flight_units += 1
            fetched = None
            try:
                fetched = self._fetcher.recall(opened, request)
                if fetched is None:
                    fetched = await self._fetcher.fetch(opened, request)
                if not fetched.counts:
                    return fetched, None, opened
                call = self._call(opened, request, fetched)
                settled = await self._tally.submit(call)
                if settled.outcome is Outcome.STALE_WINDOW:
                    settled = await self._settle_anew(opened, call, settled)
                if call.frame is opened.frame:
                    opened.learn(settled.used_units, settled.granted_left)
                if settled.outcome is Outcome.POSTED:
                    return fetched, settled, opened
                if not self._is_changed(opened, settled):
                    refuse_outcome(opened, settled, fetched.units)
                    await self._refuse_outgrown(opened.grant, request, fetched, settled)
                    return fetched, settled, opened
            except BaseException:
                if fetched is not None:
                    await fetched.discard()
                raise
            finally:
                opened.in_flight_units -= 1
            await fetched.discard()
            if request.body is not None:
                raise GrantsStale(CHANGED_UNDER_BODY)
            await self.watcher.look()  # the terms changed under the call: see which hold now
        raise GrantsStale("The contract is being changed; try again.")

    async def _catch_up(self) -> None:
        if not self.watcher.is_current and not await self.watcher.catch_up():
            raise GrantsStale("The stores do not answer; try again.")

    async def _admit(self, request: DataRequest, now_us: int) -> OpenGrant:
        """The grant that the call counts under, with room for one unit more; or a refusal.

        A POST comes first without its body and then with it, and takes its turn by the rate once.
        """
        principal = self._principals.recall(request.authorization, now_us)
        if principal is None:
            principal = await self._principals.verify(request.authorization, now_us)
        opened = self._grants.find(
            principal.organisation_id, request.slug, request.contract_id, now_us
        )
        if opened is None:
            raise await self._no_grant(request)
        opened.refuse_terms(CHANNELS[request.operation], request.purpose, now_us)
        if request.operation != "rows" or request.method != "GET":  # a GET of rows is fine
            refuse_method(opened, request)
        opened.frame_for(now_us)
        if request.key is None:
            if not opened.has_room(1):
                await self._refuse_exhausted(opened, now_us)
            if request.body is None:
                opened.refuse_rate()
            return opened
        # A repeat needs no room, but it is a call to its provider as any other: no key opens more
        # of them at once than the plan allows, and looking one up costs I/O.
        if request.body is None:
            opened.refuse_rate()
        if request.is_unread and opened.has_room(1):
            return opened  # the key is looked up together with the body
        is_replay = await self._is_replay(opened, request, now_us)
        if not is_replay and not opened.has_room(1):
            await self._refuse_exhausted(opened, now_us)
        return opened

    async def _refuse_exhausted(self, opened: OpenGrant, now_us: int) -> None:
        """Raise, unless the store (asked at most once a second) says that there is room again."""
        if opened.begin_asking():
            frame = opened.frame
            standing = await self._tally.read_standing(frame, now_us)
            if frame is opened.frame:
                opened.learn(*standing)
        if not opened.has_room(1):
            raise opened.exhausted(now_us, 1)

    async def _is_replay(self, opened: OpenGrant, request: DataRequest, now_us: int) -> bool:
        """Whether the call's key has posted before and gives its data again; without a body that is
        still to be read, whether it may.
        """
        assert request.key_sha256 is not None
        known = await self._tally.find_key(opened.grant.grant_id, request.key_sha256)
        if known is None or now_us >= known.expires_at_us:
            return False
        if request.is_unread:
            return True
        outcome = known.answer(request.fingerprint(opened.grant.meter), now_us)
        if outcome is not Outcome.DUPLICATE:
            raise key_refusal(outcome)
        return True

    def _call(self, opened: OpenGrant, request: DataRequest, fetched: Fetched) -> Call:
        """The call as it is to be settled."""
        at_us = self._clock.now_us()
        body = fetched.body
        call = Call(
            opened.frame_for(at_us),
            new_id("evt"),
            at_us,
            fetched.units,
            request.operation,
            fetched.status,
            len(body) if isinstance(body, bytes) else body.size_bytes or 0,
            request.fingerprint(opened.grant.meter),
        )
        if request.key is not None:
            call.key_sha256 = request.key_sha256
            lasts_us = UPSTREAM_REPLAY_US if request.operation == "api" else KEY_LIFE_US
            call.replay_until_us = at_us + lasts_us
        return call

    async def _refuse_outgrown(
        self, grant: CompiledGrant, request: DataRequest, fetched: Fetched, settled: Settled
    ) -> None:
        """Raise where a repeat has more than its key has paid for; then it was no delivery."""
        if fetched.units == 0:
            return
        try:
            paid = await self._tally.read_paid(grant.grant_id, settled.number)
            refuse_outgrown(grant.meter, fetched.units, paid)
        except Exception:
            await self._voids.take_back(grant.grant_id, settled, request.key_sha256)
            raise

    async def _settle_anew(self, opened: OpenGrant, call: Call, settled: Settled) -> Settled:
        """Settle a call that came with the windows of another moment."""
        for _ in range(MAX_ROUNDS):
            call.frame = opened.frame_for(settled.settled_at_us)
            settled = await self._tally.submit(call)
            if settled.outcome is not Outcome.STALE_WINDOW:
                break
        return settled

    def _is_changed(self, opened: OpenGrant, settled: Settled) -> bool:
        """Whether the store has other terms than the ones that the call was admitted by."""
        if settled.outcome is Outcome.STALE_GRANT:
            return True
        starts_at_us, ends_at_us = opened.grant.life_us
        in_life = starts_at_us <= settled.settled_at_us < ends_at_us
        return settled.outcome is Outcome.DEAD and in_life

    async def _no_grant(self, request: DataRequest) -> Refusal:
        """The refusal of a buyer without any contract: only what is on sale is told to exist."""
        if await asyncio.to_thread(self._is_on_sale, request.slug):
            return NoGrant(NO_GRANT)
        return RowNotFound("There is no such data, or it is not yours.")

    def _is_on_sale(self, slug: str) -> bool:
        with self._installation.transaction(ANONYMOUS, writes=False) as session:
            return is_on_sale(session, slug)


def make_gateway(
    installation: Installation, verify_token: VerifyToken | None = None, workers: int = 1
) -> Gateway:
    """The gateway of an installation; tokens are verified by accounts unless told otherwise."""
    return Gateway(installation, verify_token or TokenVerifier(installation).verify, workers)
