"""HEAD is answered as GET, without a body."""

from __future__ import annotations

import pytest
from litestar.testing import TestClient

from app.accounts.oauth.liveness import AccountAuthenticator
from app.db.installation import Installation
from app.http.heading import AnswersHead
from app.main import create_app
from app.wiring import ROUTERS


@pytest.mark.parametrize(
    ("path", "status"),
    [("/livez", 200), ("/api/v1/listings", 200), ("/api/v1/me", 401), ("/x", 404)],
)
def test_head_is_answered_as_get_without_a_body(
    installation: Installation, path: str, status: int
) -> None:
    app = create_app(installation, AccountAuthenticator(installation), ROUTERS)
    with TestClient(AnswersHead(app)) as client:
        full, head = client.get(path), client.head(path)
        assert client.post("/livez").status_code == 405
    assert (full.status_code, head.status_code) == (status, status)
    assert head.content == b""
    for name in ("content-type", "content-length", "x-content-type-options"):
        assert head.headers[name] == full.headers[name]
