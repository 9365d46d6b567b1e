"""Notices over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlmodel import Session, col

from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, MAX_LIMIT, page_of
from app.http.schemas import Page
from app.notices.models import Notice
from app.notices.queries import mark_read, own_notices
from app.notices.schemas import NoticeView, notice_view

TAGS = ["Notices"]


@get("/api/v1/notices", sync_to_thread=True, guards=[needs()], tags=TAGS)
def get_notices(
    session: NamedDependency[Session],
    unread: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[NoticeView]:
    """What your organisation was told, the newest first, as far as the token's scopes reach.

    A notice of use asks for `usage:read`, as the use itself does.
    """
    found = own_notices(session, unread=unread)
    return page_of(session, found, col(Notice.id), notice_view, limit=limit, cursor=cursor)


@post(
    "/api/v1/notices/{notice_id:str}/read",
    sync_to_thread=True,
    status_code=200,
    guards=[needs()],
    tags=TAGS,
)
def read_notice(notice_id: FromPath[str], session: NamedDependency[Session]) -> NoticeView:
    """Say that a notice was read, for your whole organisation; the first time stands."""
    return notice_view(mark_read(session, notice_id))


ROUTERS = (get_notices, read_notice)
