"""What the sandbox tells a newcomer: where to look, what to type, and how the story goes."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

from app.sandbox.running import log_file
from app.sandbox.seeding import Demo
from app.settings import Settings

WELCOME = """
Zhigu (智谷) is serving — SANDBOX: payments go to a double of Stripe, no money moves.

  home page of the API   {url}/docs
  the same as a document {url}/openapi.json
  everything is kept in  {home}   (the clients' secrets: demo.json{log})

Three kinds of user, each with a token of its own ({zhigu} fetches a fresh one):

  a buyer calls the data of its contracts: each answer is metered and carries its receipt
    TOKEN=$({zhigu} demo-token buyer)
    curl -si -H "Authorization: Bearer $TOKEN" '{url}/data/china-divisions/rows?limit=3'
    curl -si -H "Authorization: Bearer $TOKEN" '{url}/data/divisions-api/api/divisions/500108'

  a provider sees its contracts and what was used
    TOKEN=$({zhigu} demo-token provider)
    curl -s -H "Authorization: Bearer $TOKEN" '{url}/api/v1/usage?group_by=listing'

  the alliance's administrator and auditor see the books and the log
    TOKEN=$({zhigu} demo-token admin)
    curl -s -H "Authorization: Bearer $TOKEN" '{url}/api/v1/ledger/trial-balance'
    curl -s '{url}/audit/checkpoint'

The whole chain at once, with a progress display:  {zhigu} demo
Stop with Ctrl-C.
"""


def welcome(demo: Demo) -> str:
    """The text that `make run` ends with; its lines work in another terminal in the same folder."""
    zhigu = ".venv/bin/zhigu"
    if demo.home != Settings().home:
        zhigu = f"ZHIGU_HOME={shlex.quote(str(demo.home))} {zhigu}"
    log = log_file(demo.home)
    told = "" if log is None else f"; its log lines: {log.name}"
    return WELCOME.format(url=demo.url, home=demo.home, zhigu=zhigu, log=told)


class Progress:
    """Steps on stderr, each with what it made and how long after the start it was done."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def step(self, what: str, facts: Mapping[str, Any]) -> None:
        """Tell of a step that is done."""
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        mark = "\x1b[32m✓\x1b[0m" if self._is_terminal else "✓"
        seconds = time.monotonic() - self._started
        print(f"{mark} {seconds:5.1f} s  {what}: {told}", file=sys.stderr, flush=True)
