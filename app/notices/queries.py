"""Questions about notices: an organisation's own, as far as the token may read of them."""

from __future__ import annotations

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.db.session import actor_of, now
from app.kernel.refusals import RowNotFound
from app.notices.models import Notice


def own_notices(session: Session, *, unread: bool = False) -> SelectOfScalar[Notice]:
    """The notices of the actor's organisation that its token may read; only the `unread` ones."""
    actor = actor_of(session)
    statement = select(Notice).where(
        Notice.organisation_id == actor.organisation_id, col(Notice.scope).in_(actor.scopes)
    )
    return statement.where(col(Notice.read_at).is_(None)) if unread else statement


def mark_read(session: Session, notice_id: str) -> Notice:
    """Note that somebody of the organisation has read the notice; the first time stands.

    Refuses with `RowNotFound` what is not the actor's to read.
    """
    statement = own_notices(session).where(Notice.id == notice_id).with_for_update()
    notice = session.exec(statement).one_or_none()
    if notice is None:
        raise RowNotFound("There is no such thing, or it is not yours.")
    notice.read_at = notice.read_at or now(session)
    return notice
