"""Pages: what a buyer and a provider see; each says loudly that it is a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from app.kernel.money import Currency, Money
from app.sandbox.stripe_double.world import Json

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_FRAME = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SANDBOX 沙盒 · {title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem }}
.sandbox {{ background: #b00020; color: #fff; padding: 1rem; font-weight: 700 }}
table {{ width: 100%; border-collapse: collapse; margin: 1rem 0 }}
td {{ border-bottom: 1px solid #999; padding: .4rem 0 }}
td:last-child, th:last-child {{ text-align: right }}
button {{ font: inherit; padding: .6rem 1.2rem }}
</style>
<p class="sandbox" role="alert">SANDBOX 沙盒 — no money moves here. 此处不产生真实付款。</p>
<h1>{title}</h1>
{body}
</html>
"""


def checkout_page(session: Json, lines: list[Json]) -> str:
    """The page on which an open session is paid."""
    rows = "".join(
        f"<tr><td>{escape(line['price_data']['product_data']['name'])} × {line['quantity']}</td>"
        f"<td>{_amount(line['price_data']['unit_amount'] * line['quantity'], session)}</td></tr>"
        for line in lines
    )
    body = (
        f"<table>{rows}<tr><td><strong>Total 合计</strong></td>"
        f"<td><strong>{_amount(session['amount_total'], session)}</strong></td></tr></table>"
        f'<form method="post">'
        '<button name="outcome" value="paid">Pay 付款</button> '
        '<button name="outcome" value="declined">Let the card be declined 模拟拒付</button>'
        "</form>"
    )
    return _FRAME.format(title="Checkout 收银台", body=body)


def setup_page(account_id: str) -> str:
    """The page on which a provider finishes onboarding."""
    body = (
        f"<p>Payout account 收款账户 <code>{escape(account_id)}</code></p>"
        '<form method="post"><button>Finish onboarding 完成开户</button></form>'
    )
    return _FRAME.format(title="Payout account 收款账户", body=body)


def notice_page(title: str, text: str) -> str:
    """A page without a form, which says why there is none."""
    return _FRAME.format(title=escape(title), body=f"<p>{escape(text)}</p>")


def _amount(minor: int, session: Json) -> str:
    return escape(str(Money(minor, Currency(session["currency"].upper()))))
