"""The docs page works in a real browser that has no internet."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.live import LiveServer


def test_the_docs_page_shows_the_operations_without_internet(
    live: LiveServer, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{live.url}/docs")
    page.wait_for_selector(".swagger-ui .info .title")
    assert "Zhigu" in page.inner_text(".swagger-ui .info .title")
    page.screenshot(path=str(tmp_path / "docs.png"), full_page=True)
