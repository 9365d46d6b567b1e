"""Who acts: the identity that every change is recorded under."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What kind of actor."""

    CLIENT = "client"
    PERSON = "person"
    JOB = "job"
    OPERATOR = "operator"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for whom, and with what rights.

    `id` is a client's, person's or job's; `organisation_id` is None for jobs, the command line
    and anonymous readers. `roles` are rights given by the organisation, `scopes` by the token,
    which `token_id` names (its `jti`). A person's token came of what `delegation_id` names.
    """

    kind: ActorKind
    id: str
    organisation_id: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    client_id: str | None = None
    token_id: str | None = None
    delegation_id: str | None = None

    def has_scope(self, scope: str) -> bool:
        """Whether the token carries `scope`."""
        return scope in self.scopes


ANONYMOUS = Actor(ActorKind.ANONYMOUS, "anonymous")
OPERATOR = Actor(ActorKind.OPERATOR, "operator")


def job_actor(kind: str) -> Actor:
    """The actor under which jobs of this kind run."""
    return Actor(ActorKind.JOB, kind)
