"""Routes: a listing's data: its file, its upstream, and the sample."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from anyio.to_thread import run_sync
from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from app.db.installation import Installation
from app.http.documented import Documented, Sample
from app.http.guarding import needs
from app.http.problems import TooLarge, UnsupportedMediaType
from app.kernel.actor import Actor
from app.kernel.addresses import UpstreamUrl, parse_upstream_url, refuse_private_host
from app.kernel.refusals import Outage
from app.listings.attaching import (
    UpstreamWish,
    attach_file,
    check_upload,
    check_upstream,
    set_upstream,
)
from app.listings.datafiles.keeping import incoming_folder
from app.listings.datafiles.receiving import UploadHeaders, receive_upload
from app.listings.errors import NoSampleYet
from app.listings.queries import upstream_of
from app.listings.schemas import UpstreamBody
from app.listings.showing import show_sample
from app.listings.uploading import keep_upload
from app.listings.views import FileView, SampleView, UpstreamView, file_view, upstream_view

TAGS = ["Listings"]
ONE = "/api/v1/listings/{listing_id:str}"
WRITE = [needs("listings:write")]
LOOKUPS_AT_ONCE = 4

_lookups = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


CSV = "country,year,value\r\nCN,2020,14.7\r\n"
UPLOAD = Documented(
    takes={
        "text/csv": Sample(CSV, str),
        "application/jsonl": Sample('{"country": "CN", "year": 2020, "value": 14.7}\n', str),
        "application/vnd.apache.parquet": Sample("PAR1…"),
        "multipart/form-data": Sample({"file": CSV}, dict[str, str]),
    },
    refuses=(TooLarge, UnsupportedMediaType),
)


@post(
    f"{ONE}/files",
    guards=WRITE,
    tags=TAGS,
    request_max_body_size=None,
    opt={"documented": UPLOAD},
)
async def post_file(
    listing_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    session: NamedDependency[Session],
) -> FileView:
    """Upload the table: CSV, JSON Lines or Parquet, raw or as the one file of a form.

    Asynchronous, unlike other routes, because it streams to disk. The request's transaction
    begins only when the file lies converted in its place.
    """
    await run_sync(check_upload, installation, actor, listing_id)
    files_dir = installation.settings.files_dir
    with incoming_folder(files_dir) as folder:
        received = await receive_upload(
            request.receive,
            _headers(request),
            folder,
            installation.settings.upload_max_bytes,
        )
        kept = await keep_upload(received, folder, files_dir)
    return file_view(await run_sync(attach_file, session, listing_id, kept))


@put(f"{ONE}/upstream", sync_to_thread=True, guards=WRITE, tags=TAGS)
def put_upstream(
    listing_id: FromPath[str],
    data: JSONBody[UpstreamBody],
    actor: NamedDependency[Actor],
    installation: NamedDependency[Installation],
    session: NamedDependency[Session],
) -> UpstreamView:
    """Say where and how a proxied listing is called; the secret is sealed and never returned."""
    url = parse_upstream_url(data.base_url)
    auth = data.auth.auth()
    auth.check_for(url, installation.clock.now())
    wish = UpstreamWish(url, frozenset(data.methods), auth, data.timeout_s, data.body_max_bytes)
    # Names are looked up here, before the transaction's first statement.
    check_upstream(installation, actor, listing_id)
    _look_up((url, *auth.other_urls), installation)
    set_upstream(session, listing_id, wish)
    upstream = upstream_of(session, listing_id)
    assert upstream is not None, "it has just been set"
    return upstream_view(upstream)


@get(
    f"{ONE}/sample",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    opt={"documented": Documented(refuses=(NoSampleYet,))},
)
def get_sample(listing_id: FromPath[str], session: NamedDependency[Session]) -> SampleView:
    """The first rows of the table, with sensitive values masked."""
    return show_sample(session, listing_id)


def _look_up(urls: Iterable[UpstreamUrl], installation: Installation) -> None:
    """Refuse a host that is not public; a few at once, since a name server may keep us waiting."""
    if not _lookups.acquire(blocking=False):
        raise Outage("Too many names are being looked up; try again.", retry_after_s=5)
    try:
        for url in urls:
            refuse_private_host(url, installation.settings.upstream_allowances())
    finally:
        _lookups.release()


def _headers(request: Request[Any, Any, Any]) -> UploadHeaders:
    length = request.headers.get("content-length", "")
    return UploadHeaders(
        content_type=request.headers.get("content-type", ""),
        content_disposition=request.headers.get("content-disposition", ""),
        content_length=int(length) if length.isascii() and length.isdigit() else None,
    )


DATA_ROUTES = (post_file, put_upstream, get_sample)
