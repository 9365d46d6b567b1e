"""Who may see use: its two sides, and those who oversee the alliance. All read the same rows."""

from __future__ import annotations

import sqlalchemy as sa

from app.accounts.roles import Role, has_role
from app.kernel.actor import Actor, ActorKind
from app.kernel.refusals import RowNotFound
from app.metering.tables import grant_state

NOT_FOUND = "There is no such thing, or it is not yours."


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """The condition on `grant_state` for the grants whose use `actor` may see."""
    if sees_all(actor):
        return sa.true()
    own = actor.organisation_id
    return sa.or_(grant_state.c.buyer_id == own, grant_state.c.provider_id == own)


def sees_all(actor: Actor) -> bool:
    """Whether the actor may see everybody's use."""
    inside = actor.kind in {ActorKind.JOB, ActorKind.OPERATOR}
    return inside or has_role(actor, Role.ADMIN, Role.AUDITOR)


def access_contract_grant(connection: sa.Connection, actor: Actor, contract_id: str) -> str:
    """The grant of a contract whose use the actor may see; else `RowNotFound`."""
    found = connection.execute(
        sa.select(grant_state.c.grant_id).where(
            grant_state.c.contract_id == contract_id, visible_to(actor)
        )
    ).scalar_one_or_none()
    if found is None:
        raise RowNotFound(NOT_FOUND)
    return str(found)
