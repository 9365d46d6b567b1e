"""A whole deployment of real processes: server, workers, job worker; upstream outside it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from app.kernel.clock import SystemClock, local_day
from app.kernel.jwk import new_key
from app.sandbox.deals import Listed, Wish, publish, sign_contract
from app.sandbox.goods import Goods
from app.sandbox.http_client import Client
from app.sandbox.parties import Party, create_party
from app.sandbox.running import wait_until_ready
from app.sandbox.seeding import BUYER, PROVIDER
from app.sandbox.upstream import running_upstream
from tests.live import free_port

__all__ = ["Deployment", "Sale", "running_upstream"]


@dataclass(frozen=True)
class Sale:
    """A signed contract, ready to be called."""

    buyer: Party
    provider: Party
    listed: Listed
    contract_id: str
    grant_id: str


class Deployment:
    """One installation in a folder of its own, served by `zhigu serve` in its own process group."""

    def __init__(
        self, urls: dict[str, str] | None = None, *, workers: int = 1, **settings: str
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="zhigu-deployment-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None
        self.env = {
            **os.environ,
            "ZHIGU_HOME": str(self.home),
            "ZHIGU_PUBLIC_URL": self.url,
            "ZHIGU_DRAIN_DELAY_S": "0",
            **{f"ZHIGU_{store.upper()}_URL": url for store, url in (urls or {}).items()},
            **{f"ZHIGU_{name.upper()}": value for name, value in settings.items()},
        }
        made = json.loads(self.zhigu("init", "--json"))
        self.admin = Client(self.url, made["admin_client_id"], made["admin_client_secret"])

    def zhigu(self, *arguments: str) -> str:
        """What a `zhigu` command prints; raises when it fails."""
        command = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise AssertionError(f"zhigu {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start the server and its job worker, and wait until it is ready."""
        serve = ["serve", "--port", str(self.port), "--workers", str(self._workers)]
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *serve],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until_ready(self.url)
        except TimeoutError:
            raise AssertionError((self.home / "server.log").read_text()[-3000:]) from None

    def another(self) -> Deployment:
        """A second server of the same installation, at a port of its own and not started; to close
        either removes their folder.
        """
        other = copy.copy(self)
        other._process = None
        other.port = free_port()
        other.url = f"http://127.0.0.1:{other.port}"
        return other

    def kill(self) -> None:
        """kill -9 the whole process group, and wait until it is gone."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None
        time.sleep(0.05)

    def terminate(self) -> int:
        """SIGTERM, as an operator would; the exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(40)
        self._process = None
        return code

    def group(self) -> int:
        """The process group of everything that was started."""
        assert self._process is not None
        return self._process.pid

    def close(self) -> None:
        """End every process and remove the folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def sell(self, goods: Goods, *, channel: str) -> Sale:
        """Two verified parties, a published listing, and a contract that both have signed."""
        at = SystemClock().now()
        provider = create_party(self.admin, self.admin, PROVIDER, new_key(), at)
        buyer = create_party(self.admin, self.admin, BUYER, new_key(), at)
        listed = publish(provider, self.admin, goods)
        today = local_day(at)
        wish = Wish(
            listing_id=listed.listing_id,
            plan_id=listed.plan_id,
            purpose="RESEARCH",
            channel=channel,
            starts_on=today,
            ends_on=today + timedelta(days=30),
        )
        contract = sign_contract(provider, buyer, wish, at)
        grant_id = contract["grants"][0]["id"]
        return Sale(buyer, provider, listed, contract["id"], grant_id)
