"""An alliance for the tests: an administrator who appoints, and organisations that hold seats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import Response

from tests.accounts.conftest import Parties
from tests.conftest import Caller

MEMBERS = "/api/v1/alliance/members"
CHARTER = "/api/v1/alliance/charter"
HALF: Mapping[str, int] = {"numerator": 1, "denominator": 2}
TWO_THIRDS: Mapping[str, int] = {"numerator": 2, "denominator": 3}
VOTING = ("FOUNDER", "PRESIDENT", "VICE_PRESIDENT", "EXEC_DIRECTOR", "DIRECTOR", "MEMBER")


@dataclass
class Alliance:
    """The operator's side of the alliance, and its organisations by number."""

    parties: Parties

    @property
    def admin(self) -> Caller:
        return self.parties.admin()

    def seat(self, organisation_id: str, role: str, from_: str, until: str) -> Response:
        """The answer to an appointment."""
        body = {"organisation_id": organisation_id, "role": role, "from": from_, "until": until}
        return self.admin.post(MEMBERS, json=body)

    def seated(
        self, organisation_id: str, role: str = "MEMBER", from_: str = "2026-11-02", until: str = ""
    ) -> dict[str, Any]:
        """A seat that was given."""
        answer = self.seat(organisation_id, role, from_, until or "2028-11-02")
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def end(self, seat_id: str, **body: str) -> Response:
        """The answer to an early end."""
        return self.admin.post(f"{MEMBERS}/{seat_id}/end", json={"reason": "退出联盟", **body})

    def register(self, **asked: str) -> list[dict[str, Any]]:
        """What the register shows to whoever asks it."""
        answer = self.admin.get(MEMBERS, params=asked)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def roles_of(self, organisation_id: str) -> list[str]:
        """The roles that the organisation itself is told it holds today."""
        answer = self.parties.own(organisation_id).get("/api/v1/me")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["alliance_roles"])

    def publish(
        self, effective_on: str = "2026-11-02", text: str = "章程", **rules: Any
    ) -> Response:
        """The answer to a version of the charter."""
        voting = {"voting_roles": list(VOTING), "quorum": HALF, "majority": HALF, **rules}
        body = {"text": text, "effective_on": effective_on, "voting": voting}
        return self.admin.post(CHARTER, json=body)


@pytest.fixture
def alliance(parties: Parties) -> Alliance:
    return Alliance(parties)
