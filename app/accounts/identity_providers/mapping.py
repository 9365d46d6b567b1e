"""Mapping: what a person is here by what their identity provider says of them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.accounts.roles import Role

VALUES_MAX = 1000


@dataclass(frozen=True)
class RoleMapping:
    """Who has one of these values in the claim has that role: the first that fits counts."""

    claim: str | None
    roles: Sequence[tuple[str, Role]]
    default: Role | None

    @property
    def given(self) -> set[Role]:
        """Every role that it can give."""
        found = {role for _, role in self.roles}
        return found if self.default is None else found | {self.default}

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The role of whom these are the claims; None: no rights here."""
        said = claims.get(self.claim) if self.claim else None
        values = said if isinstance(said, list) else [said]
        texts = {value for value in values[:VALUES_MAX] if isinstance(value, str)}
        return next((role for value, role in self.roles if value in texts), self.default)


def mail_domain_of(email: str) -> str:
    """The domain of an address in lower case; empty for what is not plain ASCII, or no address."""
    name, _, domain = email.lower().rpartition("@")
    return domain if name and all("!" <= character <= "~" for character in email) else ""
