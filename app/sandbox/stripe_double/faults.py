"""Faults: what goes wrong on purpose, chosen by tests and by whoever tries the sandbox."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What happens to a request."""

    CONFLICT = "conflict"
    """409: another request is at work under the key; nothing is executed."""
    RATE_LIMIT = "rate_limit"
    """429; nothing is executed."""
    ERROR_BEFORE = "error_before"
    """500; nothing is executed."""
    ERROR_AFTER = "error_after"
    """500 after it was executed; the same key gets the true answer."""
    ERROR_KEPT = "error_kept"
    """500 after it was executed, kept: the same key gets the 500 again, as Stripe documents."""
    TIMEOUT_BEFORE = "timeout_before"
    """No answer, and nothing is executed."""
    TIMEOUT_AFTER = "timeout_after"
    """No answer after it was executed."""
    SLOW = "slow"
    """Executed late: meanwhile the same key gets 409."""


@dataclass(slots=True)
class Fault:
    """A fault for the next `times` requests whose method and beginning of path are these."""

    kind: FaultKind
    path: str = "/v1/"
    method: str = "POST"
    times: int = 1
    seconds: float = 0.0
    """How long a timeout holds the connection before it is dropped, or a slow one waits."""


class Faults:
    """The faults that wait for their request, and how webhooks are disturbed."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self.webhooks_held = False
        self._copies: list[int] = []

    def add(self, fault: Fault) -> None:
        """Let `fault` happen."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._waiting.clear()
        self._copies.clear()
        self.webhooks_held = False

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, which is used up once."""
        for fault in self._waiting:
            if fault.method == method and path.startswith(fault.path):
                fault.times -= 1
                if fault.times < 1:
                    self._waiting.remove(fault)
                return fault
        return None

    def duplicate_webhooks(self, copies: int, events: int) -> None:
        """Deliver each of the next `events` events `copies` times."""
        self._copies.extend([copies] * events)

    def copies_of_next_webhook(self) -> int:
        """How often the next event is to be delivered."""
        return self._copies.pop(0) if self._copies else 1

    def waiting(self) -> list[dict[str, Any]]:
        """The faults that have not happened yet."""
        return [asdict(fault) for fault in self._waiting]
