"""A world for the matrices: the same sale made twice, by two pairs of organisations, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import select

from app.accounts.bootstrapping import ensure_operator
from app.accounts.models import Client
from app.accounts.oauth.token_keys import ensure_token_key
from app.accounts.scopes import SCOPES
from app.audit.checkpointing import sequence
from app.audit.log_keys import ensure_log_key
from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.metering.history.segments import seal_due
from tests.conftest import Api, Caller
from tests.matrix.selling import Operators, Sale, make_sale

ALLIANCE = ("admin", "reviewer", "auditor")
OVERSEERS = frozenset(ALLIANCE)
VIEWPOINTS = ("anonymous", "other_buyer", "other_provider", "buyer", "provider", *ALLIANCE)
"""Who looks at the first sale: strangers first, then its parties, then those over them."""


@dataclass
class World:
    """Two sales, and who looks at the first of them. Every token carries every scope."""

    installation: Installation
    api: Api
    callers: dict[str, Caller] = field(default_factory=dict)
    sale: Sale = field(init=False)
    other: Sale = field(init=False)

    def __post_init__(self) -> None:
        self.operator_id = operator_id = self._found()
        for role in ALLIANCE:
            self.callers[role] = self.api.as_client(operator_id, *SCOPES, roles=[role])
        operators = Operators(
            self.installation, self.api, self.callers["admin"], self.callers["reviewer"]
        )
        self.sale, self.other = (make_sale(operators, number) for number in (1, 2))
        self._seat(self.sale)
        seal_due(self.installation)
        sequence(self.installation)
        for sale in (self.sale, self.other):
            sale.ids["sale"]["number"] = self._leaf_number(sale.ids["sale"]["contract_id"])
        self.callers |= {
            "anonymous": self.api.anonymous(),
            "buyer": self.sale.buyer.caller,
            "provider": self.sale.provider.caller,
            "other_buyer": self.other.buyer.caller,
            "other_provider": self.other.provider.caller,
        }

    def secrets_from(self, viewpoint: str) -> Mapping[str, str]:
        """What of the first sale this viewpoint must never read: the text, and what it is."""
        return {
            text: what
            for text, (what, readers) in self.sale.private.items()
            if viewpoint not in readers
        }

    def _found(self) -> str:
        with self.installation.transaction(OPERATOR) as session:
            ensure_log_key(session)
            ensure_token_key(session)
            client_id, _ = ensure_operator(session)
            return session.get_one(Client, client_id).organisation_id

    def _seat(self, sale: Sale) -> None:
        """Whose seat it is, is for everybody in the alliance: so it is no party's of a sale."""
        seat = {"organisation_id": self.operator_id, "role": "FOUNDER"}
        term = {"from": "2020-01-01", "until": "2030-01-01"}
        answer = self.callers["admin"].post("/api/v1/alliance/members", json={**seat, **term})
        sale.ids["seat"] = {"seat_id": answer.json()["id"]}

    def _leaf_number(self, subject_id: str) -> str:
        with self.installation.transaction(OPERATOR, writes=False) as session:
            numbers = session.exec(select(Leaf.number).where(Leaf.subject_id == subject_id))
            return str(numbers.all()[0])
