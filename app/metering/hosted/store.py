"""Hosted rows: a query answered from the version's file, or from the answers kept of it.

A version is frozen, so an answer stays right for as long as anyone asks for it. It is kept by what
it depends on: version, granted columns, row filter, format and query, and for Parquet the contract,
which stands inside the file as its watermark.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from app.listings.conditions.columns import Column, columns_of
from app.listings.conditions.expressions import Expression, parse_expression
from app.metering.grants import CompiledGrant
from app.metering.hosted.cache import BoundedCache
from app.metering.hosted.engine import QueryEngine
from app.metering.hosted.errors import FileAway
from app.metering.hosted.formats import Format, choose_format
from app.metering.hosted.pages import Page, parquet_page, text_page
from app.metering.hosted.query import HostedQuery, link_to_next, parse_query

Headers = tuple[tuple[bytes, bytes], ...]

CACHE_MAX_BYTES = 64_000_000
SHORTCUTS_MAX_BYTES = 8_000_000
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class HostedGrant:
    """What of a version's file a grant opens. `view` names it: equal views answer alike.

    `file_name` is the provider's, `file_stem` what a buyer saves an answer as.
    """

    contract_id: str
    version_id: str
    file_name: str
    file_stem: str
    path: str
    columns: tuple[Column, ...]
    row_filter: Expression | None
    view: str


class HostedAnswer(NamedTuple):
    """An answer ready to send; `headers` are all that describe the body but its length."""

    body: bytes
    media_type: str
    rows: int
    cached: bool
    headers: Headers


def hosted_grant_of(grant: CompiledGrant) -> HostedGrant:
    """The file, columns and rows that a compiled grant opens; made once per epoch of the grant.

    Its row filter is a `where` expression over all columns of the file, granted or not. Raises
    `ValueError` for a grant without a file and `QueryRefused` for a filter that cannot be read.
    """
    if grant.file is None:
        raise ValueError("the grant opens no file")
    everything = columns_of(grant.file["columns"])
    granted = everything
    if grant.columns is not None:
        granted = tuple(column for column in everything if column.name in grant.columns)
    row_filter = None
    if grant.row_filter is not None:
        row_filter = parse_expression(grant.row_filter, everything, "row_filter")
    path = str(grant.file["path"])
    name = str(grant.file.get("name", grant.slug))
    seen = repr((grant.version_id, path, granted, row_filter))
    view = hashlib.sha256(seen.encode()).hexdigest()
    # The one watermark that CSV has a place for, outside the file.
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", f"{grant.slug}-{grant.contract_id}")
    return HostedGrant(
        grant.contract_id, grant.version_id, name, stem, path, granted, row_filter, view
    )


class HostedStore:
    """Answers queries over the files below `root`, from one event loop."""

    def __init__(
        self,
        root: Path,
        *,
        cache_max_bytes: int = CACHE_MAX_BYTES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._engine = QueryEngine(root, timeout_s)
        self._pages: BoundedCache[Page] = BoundedCache(cache_max_bytes)
        # From what stands in a request to the name of its query, so that a repeat is not parsed.
        self._shortcuts: BoundedCache[tuple[str, Format]] = BoundedCache(SHORTCUTS_MAX_BYTES)
        self._under_way: dict[str, asyncio.Task[Page]] = {}

    def recall(self, grant: HostedGrant, raw_query: bytes, accept: bytes) -> HostedAnswer | None:
        """The answer to a request seen before, if it is still kept; never waits."""
        shortcut = self._shortcuts.get(_request_key(grant, raw_query, accept))
        if shortcut is None:
            return None
        name, form = shortcut
        page = self._pages.get(_page_name(grant, name, form))
        return None if page is None else _dressed(grant, raw_query, page, form, cached=True)

    async def serve(self, grant: HostedGrant, raw_query: bytes, accept: bytes) -> HostedAnswer:
        """The answer to a request as it stands in the URL and the Accept header."""
        if found := self.recall(grant, raw_query, accept):
            return found
        return await self.answer(grant, parse_query(raw_query, grant.columns), accept)

    async def answer(
        self, grant: HostedGrant, query: HostedQuery, accept: bytes = b""
    ) -> HostedAnswer:
        """The page that `query` (parsed over `grant.columns`) asks for.

        Refuses with `NotAcceptable`, `QueryRefused`, `QueryTooSlow` or `AnswerTooLarge`; fails with
        `HostedBusy` or `FileAway`. Equal queries that come at once are run once.
        """
        assert set(query.select) <= set(grant.columns), "parsed over another grant's columns"
        form = choose_format(accept)
        query_name = _query_name(grant, query, form)
        name = _page_name(grant, query_name, form)
        page = self._pages.get(name)
        cached = page is not None
        if page is None:
            page = await asyncio.shield(self._task_for(name, grant, query, form))
        request = _request_key(grant, query.raw, accept)
        self._shortcuts.put(request, (query_name, form), len(query.raw) + len(accept))
        return _dressed(grant, query.raw, page, form, cached=cached)

    def close(self) -> None:
        """Stop the engine and remove its scratch files."""
        self._engine.close()

    def _task_for(
        self, name: str, grant: HostedGrant, query: HostedQuery, form: Format
    ) -> asyncio.Task[Page]:
        """The one run of this query; it goes on and is kept even if everybody hangs up."""
        task = self._under_way.get(name)
        if task is None:
            task = asyncio.create_task(self._made(grant, query, form))
            self._under_way[name] = task
            task.add_done_callback(partial(self._keep, name))
        return task

    def _keep(self, name: str, task: asyncio.Task[Page]) -> None:
        del self._under_way[name]
        if not task.cancelled() and task.exception() is None:
            page = task.result()
            self._pages.put(name, page, len(page.body))

    async def _made(self, grant: HostedGrant, query: HostedQuery, form: Format) -> Page:
        file = self._file(grant)
        if form is not Format.PARQUET:
            return await self._engine.run(
                lambda connection: text_page(connection, query, grant.row_filter, file, form)
            )
        scratch = self._engine.scratch
        watermark = {"contract": grant.contract_id, "version": grant.version_id}
        return await self._engine.run(
            lambda connection: parquet_page(
                connection, query, grant.row_filter, file, scratch, watermark
            )
        )

    def _file(self, grant: HostedGrant) -> Path:
        file = (self._engine.root / grant.path).resolve()
        if not (file.is_relative_to(self._engine.root) and file.is_file()):
            raise FileAway("The data cannot be read at the moment.")
        return file


def _query_name(grant: HostedGrant, query: HostedQuery, form: Format) -> str:
    """Names a query by what it says and of what; a text, whose hash is worked out once."""
    return hashlib.sha256(f"{grant.view} {form} {query!r}".encode()).hexdigest()


def _page_name(grant: HostedGrant, query_name: str, form: Format) -> str:
    """Names a page by all that it depends on: one with a watermark belongs to a contract."""
    return f"{query_name} {grant.contract_id}" if form is Format.PARQUET else query_name


def _request_key(grant: HostedGrant, raw_query: bytes, accept: bytes) -> Hashable:
    # Not by contract: thousands of them share a view, and would push each other out.
    return grant.view, raw_query, accept


def _dressed(
    grant: HostedGrant, raw_query: bytes, page: Page, form: Format, *, cached: bool
) -> HostedAnswer:
    """The page with its headers; only JSON says inside where the next one starts."""
    if form is Format.JSON:
        return HostedAnswer(page.body, form.media_type, page.rows, cached, _JSON_HEADERS)
    name = f'attachment; filename="{grant.file_stem}.{form.suffix}"'
    headers: Headers = (
        (b"content-type", form.content_type),
        (b"content-disposition", name.encode("ascii")),
    )
    if page.next_cursor is not None:
        headers += ((b"link", link_to_next(raw_query, page.next_cursor)),)
    return HostedAnswer(page.body, form.media_type, page.rows, cached, headers)


_JSON_HEADERS: Headers = (
    (b"content-type", Format.JSON.content_type),
    (b"content-disposition", b"attachment"),
)
