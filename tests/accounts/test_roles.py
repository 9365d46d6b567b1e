"""The table of roles, written out: what each may do is policy, and this is the policy."""

from __future__ import annotations

from app.accounts.roles import ALLIANCE_ROLES, ROLE_SCOPES, Role
from app.accounts.schemas import Scope
from app.accounts.scopes import SCOPES, TRADING_SCOPES

READ = "listings:read contracts:read usage:read billing:read organisations:read"
POLICY = {
    "owner": f"{READ} listings:write contracts:write contracts:sign data:read usage:write "
    "billing:write audit:read organisations:write",
    "publisher": f"{READ} listings:write contracts:write usage:write",
    "purchaser": f"{READ} contracts:write data:read",
    "signatory": f"{READ} contracts:write contracts:sign",
    "finance": f"{READ} billing:write",
    "developer": f"{READ} data:read usage:write",
    "viewer": READ,
    "admin": " ".join(SCOPES),
    "reviewer": f"{READ} listings:write organisations:write audit:read",
    "signer": f"{READ} contracts:write",
    "auditor": f"{READ} audit:read",
}


def test_each_role_may_use_exactly_these_scopes() -> None:
    assert {role.value: ROLE_SCOPES[role] for role in Role} == {
        name: frozenset(scopes.split()) for name, scopes in POLICY.items()
    }


def test_only_the_admin_may_use_the_scope_admin() -> None:
    assert [role for role in Role if "admin" in ROLE_SCOPES[role]] == [Role.ADMIN]
    assert Role.ADMIN in ALLIANCE_ROLES
    assert frozenset(SCOPES) == TRADING_SCOPES | {"admin"}


def test_the_api_takes_exactly_the_scopes_that_there_are() -> None:
    assert Scope.__args__ == SCOPES
