"""The API describes itself, and its page needs nothing from outside."""

from __future__ import annotations

import hashlib
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
