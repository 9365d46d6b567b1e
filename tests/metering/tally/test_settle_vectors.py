"""Both drivers of the tally give the answers in `tests/vectors/settle.json`."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.grants import compiled_from, frame_afterwards
from app.metering.tables import (
    grant_state,
    unit_grant,
    usage_event,
    usage_report,
    usage_window,
)
from app.metering.tally.calls import Batch, Call, Outcome, Settled, Void
from app.metering.tally.tally import Driver, open_driver
from app.metering.units.unit_grants import GrantedUnits, apply_unit_grants
from tests.metering.grant_documents import (
    PROVIDER,
    grant_document,
    granted_units,
    local_text,
    local_us,
    quota,
)
from tests.metering.store import fsck

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "settle.json").read_text("utf-8"))[
    "cases"
]
FAR_US = 2**60


class Player:
    """Plays one case: keeps every epoch of every grant, as workers would."""

    def __init__(self, installation: Installation, driver: Driver) -> None:
        self._installation = installation
        self._driver = driver
        self._documents: dict[tuple[str, int], dict[str, Any]] = {}
        self._epochs: dict[str, int] = {}

    def give(self, grant: str, spec: Mapping[str, Any]) -> None:
        latest = self._documents.get((grant, self._epochs.get(grant, 0)), grant_document(grant))
        changes = {name: spec[name] for name in ("epoch", "live", "meter") if name in spec}
        if "windows" in spec:
            changes["windows"] = [quota(*window) for window in spec["windows"]]
        if "life" in spec:
            changes["starts_at_us"], changes["ends_at_us"] = map(local_us, spec["life"])
        document = {**latest, **changes}
        refused = spec.get("refused", False)
        if not refused:
            self._documents[grant, document["epoch"]] = document
            self._epochs[grant] = document["epoch"]
        if not spec.get("unknown"):
            with self._installation.usage_transaction() as connection:
                assert apply_grant(connection, document, at_us=1) is not refused
        self.grant_units(grant, spec.get("units", {}))

    def grant_units(self, grant: str, units: Mapping[str, Any]) -> None:
        """Units beside the quotas: [amount, first moment, last moment], and more by name."""
        granted = [_granted(name, *spec) for name, spec in units.items()]
        with self._installation.usage_transaction() as connection:
            apply_unit_grants(connection, grant, granted)

    def note_report(
        self, grant: str, number: int, counts_at: str, corrects: int | None = None
    ) -> None:
        """Say that an event was reported, or corrects the one of another number."""
        with self._installation.usage_transaction() as connection:
            connection.execute(
                sa.insert(usage_report).values(
                    grant_id=grant,
                    number=number,
                    provider_id=PROVIDER,
                    source="/deliveries",
                    source_id=f"{grant} {number}",
                    occurred_at_us=local_us(counts_at),
                    counts_at_us=local_us(counts_at),
                    corrects=corrects,
                )
            )

    async def play(self, step: Mapping[str, Any]) -> None:
        if "apply" in step:
            self.give(step["apply"]["grant"], step["apply"])
            return
        if "grant_units" in step:
            spec = step["grant_units"]
            self.grant_units(spec["grant"], spec["units"])
            return
        if "report" in step:
            self.note_report(**step["report"])
            return
        await self._driver.begin()
        if "void" in step:
            spec = step["void"]
            at_us = local_us(spec["at"])
            void = Void(
                spec["grant"],
                spec["event"],
                spec["void_event"],
                at_us,
                502,
                digest(spec["key"]) if "key" in spec else None,
                spec.get("replayed", False),
                _moment(spec, "counts_at"),
            )
            check(spec, await self._driver.void(void))
            return
        modes = {name: step.get(name, False) for name in ("again", "afterwards")}
        calls = tuple(self._call(spec, _moment(step, "counts_at")) for spec in step["batch"])
        batch = Batch(calls, **modes, counts_at_us=_moment(step, "counts_at"))
        answers = await self._driver.settle(batch)
        assert len(answers) == len(batch.calls)
        for spec, answer in zip(step["batch"], answers, strict=True):
            check(spec, answer)
        self._check_used(batch, answers)

    def _call(self, spec: Mapping[str, Any], counts_at_us: int | None) -> Call:
        at_us = local_us(spec["at"])
        grant = spec["grant"]
        document = self._documents[grant, spec.get("epoch", self._epochs[grant])]
        framed_at_us = local_us(spec["framed_at"]) if "framed_at" in spec else at_us
        key = spec.get("key")
        until = spec.get("replay_until")
        return Call(
            frame=frame_afterwards(compiled_from(document), framed_at_us, counts_at_us),
            event_id=spec["event"],
            at_us=at_us,
            units=spec.get("units", 1),
            operation="rows",
            status=200,
            bytes=17,
            request_sha256=digest(spec.get("request", "same")),
            key_sha256=digest(key) if key else None,
            replay_until_us=local_us(until) if until else FAR_US,
        )

    def _check_used(self, batch: Batch, answers: list[Settled]) -> None:
        """What each answer says of its counters is what stands in the store."""
        with self._installation.usage.connect() as connection:
            rows = connection.execute(sa.select(usage_window)).all()
        used = {tuple(row[:4]): row.used_units for row in rows}
        for call, answer in zip(batch.calls, answers, strict=True):
            counters = call.frame.counters
            assert list(answer.used_units) == [used.get(c.key, 0) for c in counters]
            assert answer.granted_left == (0 if batch.counts_at_us else self._left(call))

    def _left(self, call: Call) -> int:
        """What is left of the units that the call might burn; at its own moment, by its meter."""
        with self._installation.usage.connect() as connection:
            left = connection.execute(
                sa.select(sa.func.sum(unit_grant.c.amount_units - unit_grant.c.burned_units)).where(
                    unit_grant.c.grant_id == call.frame.grant_id,
                    unit_grant.c.meter == call.frame.meter,
                    unit_grant.c.starts_at_us <= call.at_us,
                    unit_grant.c.ends_at_us > call.at_us,
                )
            ).scalar_one()
        return int(left or 0)


def _moment(spec: Mapping[str, Any], name: str) -> int | None:
    return local_us(spec[name]) if name in spec else None


def _granted(name: str, amount: int, first: str, last: str, *more: Any) -> GrantedUnits:
    changes: dict[str, Any] = more[0] if more else {}
    if "granted_at" in changes:
        changes = {**changes, "granted_at_us": local_us(changes["granted_at"])}
        del changes["granted_at"]
    return granted_units(name, amount, local_us(first), local_us(last), **changes)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def check(spec: Mapping[str, Any], answer: Settled) -> None:
    outcome, number, *more = spec["expect"]
    assert (answer.outcome, answer.number) == (Outcome(outcome), number), spec
    if more and more[0]:
        assert answer.settled_at_us == local_us(more[0]), spec
    expected_event = more[1] if len(more) > 1 else spec["event"]
    if answer.outcome is not Outcome.VOIDED or len(more) > 1:
        assert answer.event_id == expected_event, spec


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_settling_answers_as_the_table_says(
    installation: Installation, case: Mapping[str, Any]
) -> None:
    async def play() -> None:
        driver = open_driver(installation.settings.usage_url)
        player = Player(installation, driver)
        for grant, spec in case["grants"].items():
            player.give(grant, spec)
        for step in case["steps"]:
            await player.play(step)
        await driver.close()

    asyncio.run(play())
    check_store(installation, case)
    assert fsck(installation) == []


def check_store(installation: Installation, case: Mapping[str, Any]) -> None:
    with installation.usage.connect() as connection:
        for grant, wanted in case["used"].items():
            rows = connection.execute(
                sa.select(usage_window).where(usage_window.c.grant_id == grant)
            ).all()
            assert {
                f"{row.meter} {row.kind} {local_text(row.starts_at_us)}": [
                    row.used_units,
                    row.limit_units,
                ]
                for row in rows
            } == wanted
            events = connection.execute(
                sa.select(usage_event)
                .where(usage_event.c.grant_id == grant)
                .order_by(usage_event.c.number)
            ).all()
            state = connection.execute(
                sa.select(grant_state).where(grant_state.c.grant_id == grant)
            ).one_or_none()
            assert [event.number for event in events] == list(range(1, len(events) + 1))
            assert (state.last_number if state else 0) == len(events)
            settled = [event.settled_at_us for event in events]
            assert settled == sorted(settled)
            burned = connection.execute(
                sa.select(unit_grant.c.unit_grant_id, unit_grant.c.burned_units).where(
                    unit_grant.c.grant_id == grant
                )
            ).all()
            assert dict(burned) == case.get("burned", {}).get(grant, {})
            granted = {e.event_id: e.granted_units for e in events if e.granted_units}
            assert granted == case.get("granted", {}).get(grant, {})
