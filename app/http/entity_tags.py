"""Entity tags for edits: `ETag` says which edit was read, `If-Match` which one is being changed."""

from __future__ import annotations

from app.kernel.refusals import EditConflict, Malformed


def etag(edit: int) -> str:
    """The strong entity tag of a row's edit number."""
    return f'"{edit}"'


def check_if_match(header: str | None, edit: int) -> None:
    """Refuse with `EditConflict` when `If-Match` names another edit; without the header, pass."""
    if header is None or header.strip() == "*":
        return
    tags = [tag.strip() for tag in header.split(",")]
    if any(not (tag.startswith('"') and tag.endswith('"') and len(tag) > 1) for tag in tags):
        raise Malformed("If-Match takes strong entity tags.")
    if etag(edit) not in tags:
        raise EditConflict("It was edited since you read it.", etag=etag(edit))
