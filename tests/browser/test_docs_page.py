"""The docs page works in a real browser that has no internet."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from app.accounts.bootstrapping import ensure_operator
from app.accounts.oauth.token_keys import ensure_token_key
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.live import LiveServer


def test_the_docs_page_shows_the_operations_without_internet(
    live: LiveServer, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{live.url}/docs")
    page.wait_for_selector(".swagger-ui .info .title")
    assert "Zhigu" in page.inner_text(".swagger-ui .info .title")
    page.locator("#operations-tag-Data").click()
    rows = page.locator("#operations-Data-get_data_slug_rows")
    rows.locator(".opblock-summary-control").click()
    for told in ("world-gdp", "where", "Idempotency-Key", "Usage-Receipt", "quota-exhausted"):
        expect(rows).to_contain_text(told)
    page.screenshot(path=str(tmp_path / "docs.png"), full_page=True)


def test_a_client_signs_in_on_the_docs_page_and_tries_an_operation_out(
    live: LiveServer, page: Page, installation: Installation, tmp_path: Path
) -> None:
    with installation.transaction(OPERATOR) as session:
        ensure_token_key(session)
        client_id, secret = ensure_operator(session)
    assert secret is not None
    page.goto(f"{live.url}/docs")
    page.locator(".auth-wrapper .authorize").first.click()
    form = page.locator(".auth-container", has_text="clientCredentials")
    form.locator("#client_id_clientCredentials").fill(client_id)
    form.locator("#client_secret_clientCredentials").fill(secret)
    form.locator("label[for^='admin']").click()
    form.locator("button.authorize").click()
    expect(form).to_contain_text("Authorized")
    form.locator(".btn-done").click()
    page.locator("#operations-tag-Accounts").click()
    me = page.locator("#operations-Accounts-get_me")
    me.locator(".opblock-summary-control").click()
    me.locator(".try-out__btn").click()
    me.locator(".execute").click()
    expect(me.locator(".live-responses-table")).to_contain_text(client_id)
    page.screenshot(path=str(tmp_path / "tried.png"), full_page=True)
