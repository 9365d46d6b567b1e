"""The world: everything that the double remembers, and what operations may do with it."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from app.kernel.clock import Clock
from app.sandbox.stripe_double.refusals import no_such

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
PLATFORM = ""
"""The owner of what belongs to the platform itself; a connected account owns under its own id."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What this pretended Stripe takes and allows, in minor units and seconds."""

    fee_rate: Fraction = Fraction(3, 106)
    """3.00 of 106.00; metadata `sandbox_fee_minor` of a payment overrides it."""
    dispute_fee_minor: int = 1_500
    settle_after_s: int = 0
    """How long a charge stays pending before it is available."""

    def fee_of(self, amount: int, metadata: Mapping[str, str]) -> int:
        """The processing fee of a charge, rounded half-even."""
        given = metadata.get("sandbox_fee_minor", "")
        return int(given) if given.isdecimal() else round(self.fee_rate * amount)


@dataclass(slots=True)
class Call:
    """One request as operations see it: read parameters, and for whom."""

    path: Mapping[str, str] = field(default_factory=dict)
    params: Json = field(default_factory=dict)
    account: str = PLATFORM
    version: str = API_VERSION
    key: str | None = None
    request_id: str | None = None


@dataclass
class Memory:
    """What survives a restart; only JSON values, so that a snapshot is the whole of it."""

    objects: dict[str, Json] = field(default_factory=dict)
    """Every object by id, oldest first."""
    owners: dict[str, str] = field(default_factory=dict)
    """Only of what belongs to a connected account."""
    hidden: dict[str, Json] = field(default_factory=dict)
    """What the double knows of an object and does not answer."""
    answers: dict[str, Json] = field(default_factory=dict)
    """Answers kept under idempotency keys."""
    deliveries: list[Json] = field(default_factory=list)
    """Webhooks that were not taken yet."""


class World:
    """The memory, the clock and the rules; every operation gets one."""

    def __init__(
        self, clock: Clock, rules: Rules | None = None, memory: Memory | None = None
    ) -> None:
        self.clock = clock
        self.rules = rules or Rules()
        self.memory = memory or Memory()
        self.base_url = ""
        self.webhook_url: str | None = None

    def now_s(self) -> int:
        """Unix seconds, as Stripe tells time."""
        return int(self.clock.now().timestamp())

    def new_id(self, prefix: str) -> str:
        """A fresh id of Stripe's form."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def add(self, thing: Json, owner: str = PLATFORM, **hidden: Any) -> Json:
        """Remember a new object."""
        self.memory.objects[thing["id"]] = thing
        if owner:
            self.memory.owners[thing["id"]] = owner
        if hidden:
            self.memory.hidden[thing["id"]] = hidden
        return thing

    def owner_of(self, thing: Json) -> str:
        """Whose it is."""
        return self.memory.owners.get(thing["id"], PLATFORM)

    def hidden_of(self, thing: Json) -> Json:
        """What is known of it beside its answer; may be changed."""
        return self.memory.hidden.setdefault(thing["id"], {})

    def find(self, kind: str, given: str, owner: str = PLATFORM, param: str | None = None) -> Json:
        """The object with this id, seen by `owner`; raises `resource_missing`."""
        thing = self.memory.objects.get(given)
        if thing is None or thing["object"] != kind or self.owner_of(thing) != owner:
            raise no_such(kind, given, param)
        return thing

    def all_of(self, kind: str, owner: str = PLATFORM) -> Iterator[Json]:
        """Every object of a kind, newest first."""
        for thing in reversed(self.memory.objects.values()):
            if thing["object"] == kind and self.owner_of(thing) == owner:
                yield thing

    def emit(self, call: Call, name: str, thing: Json, owner: str = PLATFORM) -> Json:
        """Record an event that happened to `thing`, and a webhook to be delivered."""
        event: Json = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": call.version,
            "created": self.now_s(),
            "data": {"object": copy.deepcopy(thing)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": call.request_id, "idempotency_key": call.key},
            "type": name,
        }
        if owner:
            event["account"] = owner
        self.add(event, owner)
        self.memory.deliveries.append({"event": event["id"], "attempts": 0})
        return event
