"""Parties of the accounts tests: an operator, and organisations that it has entered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.accounts.bootstrapping import ensure_operator
from app.accounts.credit_codes import ALPHABET, check_character
from app.accounts.models import Client
from app.accounts.scopes import TRADING_SCOPES
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.conftest import Api, Caller

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Operator:
    """The operator's organisation and its first client."""

    organisation_id: str
    client_id: str
    client_secret: str


def credit_code(number: int) -> str:
    """A valid credit code that no other number has."""
    digits = "".join(ALPHABET[(number // 31**place) % 31] for place in range(9))
    body = "91500108" + digits
    return body + check_character(body)


class Parties:
    """Who calls: the operator by its roles, and organisations by their own clients."""

    def __init__(self, api: Api, operator: Operator) -> None:
        self.api = api
        self.operator = operator
        self._count = 0

    def admin(self) -> Caller:
        return self.api.as_client(self.operator.organisation_id, "admin", roles=["admin"])

    def overseer(self, role: str, *scopes: str) -> Caller:
        return self.api.as_client(
            self.operator.organisation_id,
            *(scopes or ("organisations:read", "organisations:write")),
            roles=[role],
        )

    def body(self, **changes: Any) -> dict[str, Any]:
        self._count += 1
        return {
            "name": f"智谷数据{self._count}有限公司",
            "credit_code": credit_code(self._count),
            "kind": "enterprise",
            "contact": {"name": "张三", "email": "zhang@example.cn"},
            **changes,
        }

    def organisation(self, **changes: Any) -> str:
        answer = self.admin().post("/api/v1/organisations", json=self.body(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def own(self, organisation_id: str, *scopes: str) -> Caller:
        return self.api.as_client(organisation_id, *(scopes or sorted(TRADING_SCOPES)))

    def client(self, organisation_id: str, **changes: Any) -> dict[str, Any]:
        body = {"name": "program", "scopes": sorted(TRADING_SCOPES), **changes}
        path = f"/api/v1/organisations/{organisation_id}/clients"
        answer = self.admin().post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def member(self, organisation_id: str, email: str, role: str = "owner") -> dict[str, Any]:
        path = f"/api/v1/organisations/{organisation_id}/members"
        body = {"email": email, "name": "李四", "role": role, "password": PASSWORD}
        answer = self.admin().post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture
def operator(installation: Installation) -> Operator:
    with installation.transaction(OPERATOR) as session:
        client_id, secret = ensure_operator(session)
        organisation_id = session.get_one(Client, client_id).organisation_id
    assert secret is not None
    return Operator(organisation_id, client_id, secret)


@pytest.fixture
def parties(api: Api, operator: Operator) -> Parties:
    return Parties(api, operator)
