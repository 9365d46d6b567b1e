"""The drivers against a model that was written from the rules alone, by a state machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.grants import compiled_from, frame_at
from app.metering.tables import unit_grant, usage_event, usage_window
from app.metering.tally.calls import Batch, Call, Void
from app.metering.tally.tally import open_driver
from app.metering.units.unit_grants import apply_unit_grants
from tests.metering.calling import call_on
from tests.metering.grant_documents import grant_document, granted_units, local_us, quota

DAY_US = 24 * 3600 * 1_000_000
START_US = local_us("2026-11-02 00:00:00")
GRANTS = ("one", "two")
KEYS = {name: name * 64 for name in "abc"}
REQUESTS = {name: name * 64 for name in "de"}


@dataclass
class Units:
    """The model of a unit grant: every unit of it stands alone, and says which event burned it."""

    name: str
    priority: int
    days: range
    order: int
    burned_by: list[str | None]


@dataclass
class Event:
    """What the model remembers of an event; `units` are those that count in windows."""

    event_id: str
    day: int
    units: int
    voided: bool = False


@dataclass
class Grant:
    """The model of a grant: limits per day and for ever, and everything that happened."""

    day_limit: int
    whole_limit: int
    live: bool = True
    epoch: int = 1
    last_us: int = 0
    events: list[Event | None] = field(default_factory=list)
    keys: dict[str, tuple[str, str, int, int, int]] = field(default_factory=dict)
    granted: list[Units] = field(default_factory=list)

    def used(self, day: int | None = None) -> int:
        kept = [event for event in self.events if event is not None and not event.voided]
        return sum(event.units for event in kept if day in (None, event.day))

    def call(self, call: Call) -> tuple[str, int]:
        if not self.live:
            return "dead", 0
        at_us = max(call.at_us, self.last_us)
        if call.frame.epoch != self.epoch:
            return "stale_grant", 0
        known = self.keys.get(call.key_sha256 or "")
        if known is not None and at_us < known[4]:
            event_id, request, number, replays, expires_us = known
            if request != call.request_sha256:
                return "key_reused", number
            if replays == 3:
                return "key_spent", number
            self.keys[call.key_sha256] = (event_id, request, number, replays + 1, expires_us)
            return "duplicate", number
        day = (at_us - START_US) // DAY_US
        if day != (call.at_us - START_US) // DAY_US:
            return "stale_window", 0
        free = self.free_units(day)[: call.units]
        counted = call.units - len(free)
        if self.used(day) + counted > self.day_limit:
            return "over_limit", 0
        if self.used() + counted > self.whole_limit:
            return "over_limit", 0
        for units, place in free:
            units.burned_by[place] = call.event_id
        self.events.append(Event(call.event_id, day, counted))
        self.last_us = at_us
        number = len(self.events)
        if call.key_sha256 is not None:
            self.keys[call.key_sha256] = (
                *(call.event_id, call.request_sha256, number),
                *(0, at_us + DAY_US),
            )
        return "posted", number

    def free_units(self, day: int) -> list[tuple[Units, int]]:
        """Every unit that may burn on a day, the next one first."""
        ranked = sorted(
            self.granted, key=lambda units: (units.priority, units.days.stop, units.order)
        )
        return [
            (units, place)
            for units in ranked
            if day in units.days
            for place, burned_by in enumerate(units.burned_by)
            if burned_by is None
        ]

    def key_of(self, event: Event) -> str | None:
        """The key that the event was settled under."""
        return next((key for key, kept in self.keys.items() if kept[0] == event.event_id), None)

    def void(self, event: Event, at_us: int, replayed: bool) -> tuple[str, int]:
        key = self.key_of(event)
        if key is not None and self.keys[key][3] > 0:
            event_id, request, number, replays, expires_us = self.keys[key]
            self.keys[key] = (event_id, request, number, replays - 1, expires_us)
            return "kept", number
        if key is None and replayed:
            return "kept", 1 + self.events.index(event)
        event.voided = True
        for units in self.granted:
            units.burned_by = [None if by == event.event_id else by for by in units.burned_by]
        self.events.append(None)
        self.last_us = max(self.last_us, at_us)
        self.keys = {key: kept for key, kept in self.keys.items() if kept[0] != event.event_id}
        return "voided", len(self.events)


CALLS = st.lists(
    st.tuples(
        st.sampled_from(GRANTS),
        st.integers(0, 4),
        st.sampled_from([None, None, None, *KEYS]),
        st.sampled_from(list(REQUESTS)),
        st.integers(-3_000_000, 3_000_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


class Settling(RuleBasedStateMachine):
    """Batches, voids, amendments and the passing of time in any order."""

    installation: ClassVar[Installation]
    loop: ClassVar[asyncio.AbstractEventLoop]
    runs: ClassVar[int] = 0

    @initialize(limits=st.tuples(st.integers(0, 15), st.integers(0, 40)))
    def begin(self, limits: tuple[int, int]) -> None:
        Settling.runs += 1
        self.voids = 0
        self.now_us = START_US + DAY_US // 2
        self.driver = open_driver(self.installation.settings.usage_url)
        self.model = {name: Grant(*limits) for name in GRANTS}
        for name in GRANTS:
            self.apply(name)

    def grant_id(self, name: str) -> str:
        return f"grt_{name}_{self.runs}"

    def document(self, name: str, epoch: int) -> dict[str, Any]:
        grant = self.model[name]
        windows = [quota("day", grant.day_limit), quota("contract", grant.whole_limit)]
        return grant_document(self.grant_id(name), windows=windows, epoch=epoch, live=grant.live)

    def apply(self, name: str) -> None:
        with self.installation.usage_transaction() as connection:
            document = self.document(name, self.model[name].epoch)
            assert apply_grant(connection, document, at_us=1)

    @rule(specs=CALLS)
    def batch(self, specs: list[tuple[Any, ...]]) -> None:
        calls, wanted = [], []
        for name, units, key, request, shift_us, stale in specs:
            grant = self.model[name]
            at_us = self.now_us + shift_us
            epoch = max(1, grant.epoch - 1) if stale else grant.epoch
            compiled = compiled_from(self.document(name, epoch))
            call = call_on(
                compiled,
                at_us,
                frame=frame_at(compiled, at_us),
                units=units,
                key_sha256=KEYS[key] if key else None,
                request_sha256=REQUESTS[request],
                replay_until_us=2**60,
            )
            calls.append(call)
            wanted.append(grant.call(call))
        self.loop.run_until_complete(self.driver.begin())
        answers = self.loop.run_until_complete(self.driver.settle(Batch(tuple(calls))))
        assert [(str(a.outcome), a.number) for a in answers] == wanted

    @rule(name=st.sampled_from(GRANTS), pick=st.integers(0, 50), replayed=st.booleans())
    def void(self, name: str, pick: int, replayed: bool) -> None:
        grant = self.model[name]
        standing = [event for event in grant.events if event and not event.voided]
        if not standing:
            return
        event = standing[pick % len(standing)]
        self.voids += 1
        void = Void(
            *(self.grant_id(name), event.event_id, f"evt_void_{self.voids}", self.now_us, 502),
            # Also an event that never had a key, or whose key is another's by now.
            key_sha256=grant.key_of(event) or KEYS["a"],
            replayed=replayed,
        )
        self.loop.run_until_complete(self.driver.begin())
        answer = self.loop.run_until_complete(self.driver.void(void))
        wanted = grant.void(event, self.now_us, replayed)
        assert (str(answer.outcome), answer.number) == wanted

    @rule(seconds=st.sampled_from([1, 600, 40_000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000

    @rule(
        name=st.sampled_from(GRANTS),
        limits=st.tuples(st.integers(0, 15), st.integers(0, 40)),
        live=st.sampled_from([True, True, True, False]),
    )
    def amend(self, name: str, limits: tuple[int, int], live: bool) -> None:
        grant = self.model[name]
        grant.day_limit, grant.whole_limit = limits
        grant.live = live
        grant.epoch += 1
        self.apply(name)

    @rule(
        name=st.sampled_from(GRANTS),
        amount=st.integers(0, 6),
        priority=st.integers(0, 2),
        days=st.tuples(st.integers(-1, 1), st.integers(1, 3)),
    )
    def grant_units(self, name: str, amount: int, priority: int, days: tuple[int, int]) -> None:
        granted = self.model[name].granted
        first = (self.now_us - START_US) // DAY_US + days[0]
        units = Units(
            f"ugr_{len(granted):03}",
            priority,
            range(first, first + days[1]),
            len(granted),
            [None] * amount,
        )
        granted.append(units)
        applied = granted_units(
            units.name,
            amount,
            START_US + units.days.start * DAY_US,
            START_US + units.days.stop * DAY_US,
            priority=priority,
            granted_at_us=units.order,
        )
        with self.installation.usage_transaction() as connection:
            apply_unit_grants(connection, self.grant_id(name), [applied])

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        with self.installation.usage.connect() as connection:
            for name, grant in self.model.items():
                mine = usage_window.c.grant_id == self.grant_id(name)
                for row in connection.execute(sa.select(usage_window).where(mine)):
                    day = (row.starts_at_us - START_US) // DAY_US
                    assert row.used_units == grant.used(None if row.kind == "contract" else day)
                burned = connection.execute(
                    sa.select(unit_grant.c.unit_grant_id, unit_grant.c.burned_units).where(
                        unit_grant.c.grant_id == self.grant_id(name)
                    )
                ).all()
                assert dict(burned) == {
                    units.name: sum(by is not None for by in units.burned_by)
                    for units in grant.granted
                }
                mine = usage_event.c.grant_id == self.grant_id(name)
                numbers = connection.execute(
                    sa.select(usage_event.c.number).where(mine).order_by(usage_event.c.number)
                )
                assert list(numbers.scalars()) == list(range(1, len(grant.events) + 1))

    def teardown(self) -> None:
        self.loop.run_until_complete(self.driver.close())


@pytest.mark.parametrize("engine_name", ["sqlite", "postgres"])
def test_whatever_comes_in_whatever_order_the_driver_does_what_the_model_does(
    installation: Installation,
) -> None:
    Settling.installation = installation
    Settling.loop = asyncio.new_event_loop()
    try:
        run_machine(
            Settling,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        Settling.loop.close()
