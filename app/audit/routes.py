"""The public log: checkpoint and tiles need no token, and tell nothing without the salts."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlmodel import Session

from app.audit.checkpointing import newest_checkpoint
from app.audit.log_keys import verifier_keys
from app.audit.tiles import WIDTH, parse_tile_path, read_tile
from app.http.documented import Documented, Sample
from app.http.examples import WORDS
from app.kernel.refusals import RowNotFound

TAGS = ["Audit"]
FOREVER = "public, max-age=31536000, immutable"


TEXT = "text/plain"
NOTE = f"zhigu.example.cn/log\n12\n{WORDS['proof'][0]}\n\n— zhigu.example.cn/log …\n"
CHECKPOINT = Documented(
    gives={TEXT: Sample(NOTE, str)}, answer="The signed note.", refuses=(RowNotFound,)
)
KEYS = Documented(
    gives={TEXT: Sample("zhigu.example.cn/log+b1dd2a5c+AeX…\n", str)}, answer="A key on each line."
)
TILE = Documented(
    gives={"application/octet-stream": Sample("32 bytes for each hash")},
    answer="The tile's hashes, one after the other.",
)


@get(
    "/audit/checkpoint",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    media_type=TEXT,
    opt={"documented": CHECKPOINT},
)
def get_checkpoint(session: NamedDependency[Session]) -> Response[str]:
    """The newest signed tree head, a C2SP tlog-checkpoint note."""
    checkpoint = newest_checkpoint(session)
    if checkpoint is None:
        raise RowNotFound("The log has no checkpoint yet.")
    return Response(
        checkpoint.note,
        media_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


@get(
    "/audit/keys",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    media_type=TEXT,
    opt={"documented": KEYS},
)
def get_keys(session: NamedDependency[Session]) -> Response[str]:
    """The log's verifier keys, a line each, the newest first.

    Get them once over a channel that you trust: a key that arrives with a receipt proves nothing.
    """
    lines = "".join(f"{key}\n" for key in verifier_keys(session))
    return Response(lines, media_type="text/plain; charset=utf-8")


@get(
    "/audit/tile/{path:path}",
    sync_to_thread=True,
    tags=TAGS,
    security=[],
    opt={"documented": TILE},
)
def get_tile(path: FromPath[str], session: NamedDependency[Session]) -> Response[bytes]:
    """A tile of the log: hashes at `L/N`, entries at `entries/N`, a partial one with `.p/W`.

    As C2SP tlog-tiles says, with 256 to a full tile.
    """
    address = parse_tile_path(path.lstrip("/"))
    content = read_tile(session, address)
    caching = FOREVER if address.width == WIDTH else "public, max-age=60"
    return Response(
        content, media_type="application/octet-stream", headers={"Cache-Control": caching}
    )


ROUTERS = (get_checkpoint, get_keys, get_tile)
