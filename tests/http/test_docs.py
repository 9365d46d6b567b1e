"""The API describes itself, and its page needs nothing from outside."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from app.http import docs
from tests.conftest import Api

VENDOR = Path(docs.STATIC) / "vendor"


def test_vendored_assets_are_what_their_checksums_say() -> None:
    lines = (VENDOR / "swagger-ui" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, name = line.split()
        content = (VENDOR / "swagger-ui" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_what_is_vendored_says_its_version_and_licence_and_is_summed_whole() -> None:
    folders = list(VENDOR.iterdir())
    assert folders
    for folder in folders:
        told = (folder / "README.md").read_text("utf-8")
        assert re.match(rf"{folder.name}\S* \d+\.\d+\.\d+, [\w.-]+ \(LICENSE", told), told
        assert (folder / "LICENSE").read_text("utf-8").strip()
        summed = {line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
        served = {path.name for path in folder.iterdir() if path.suffix in (".js", ".css")}
        assert summed == served


def test_the_document_and_its_page_are_served(api: Api) -> None:
    document = api.anonymous().get("/openapi.json")
    assert document.status_code == 200
    assert document.json()["openapi"].startswith("3.1")
    page = api.anonymous().get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name, (_, media_type) in docs.ASSETS.items():
        asset = api.anonymous().get(f"/docs/assets/{name}")
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(media_type)
    assert api.anonymous().get("/docs/assets/other.js").status_code == 404
