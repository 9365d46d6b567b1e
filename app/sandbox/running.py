"""The sandbox: server, worker, Stripe double and demo upstream under one supervisor."""

from __future__ import annotations

import json
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from app.kernel.sealing import write_private
from app.sandbox.http_client import send
from app.serving import Child, zhigu_command
from app.settings import Settings

READY_WITHIN_S = 60.0


@dataclass(frozen=True)
class SandboxPlan:
    """What the outside of a sandbox is: kept in its home, so that a second start finds it again."""

    double_port: int
    upstream_port: int
    stripe_key: str
    webhook_secret: str
    upstream_key: str

    @property
    def double_url(self) -> str:
        """Where the Stripe double listens."""
        return f"http://127.0.0.1:{self.double_port}"

    @property
    def upstream_url(self) -> str:
        """Where the demo's upstream listens."""
        return f"http://127.0.0.1:{self.upstream_port}"


def plan_sandbox(home: Path) -> SandboxPlan:
    """The plan kept in `home`, or a new one; a port that somebody else has taken is replaced."""
    path = home / "sandbox.json"
    if path.exists():
        plan = SandboxPlan(**json.loads(path.read_text("utf-8")))
        if not (_is_taken(plan.double_port) or _is_taken(plan.upstream_port)):
            return plan
        plan = SandboxPlan(
            **{**asdict(plan), "double_port": _free_port(), "upstream_port": _free_port()}
        )
    else:
        plan = SandboxPlan(
            double_port=_free_port(),
            upstream_port=_free_port(),
            stripe_key="sk_test_" + secrets.token_hex(16),
            webhook_secret="whsec_" + secrets.token_hex(16),
            upstream_key=secrets.token_hex(16),
        )
    write_private(path, json.dumps(asdict(plan)).encode())
    return plan


def sandbox_environment(settings: Settings, plan: SandboxPlan, url: str) -> Mapping[str, str]:
    """What the server and worker of a sandbox are told; the demo upstream is all they may reach."""
    return {
        "ZHIGU_HOME": str(settings.home),
        "ZHIGU_PUBLIC_URL": url,
        "ZHIGU_STRIPE_SECRET_KEY": plan.stripe_key,
        "ZHIGU_STRIPE_API_BASE": plan.double_url,
        "ZHIGU_STRIPE_WEBHOOK_SECRETS": plan.webhook_secret,
        "ZHIGU_STRIPE_SANDBOX": "true",
        "ZHIGU_UPSTREAM_ALLOW": f"127.0.0.1/32:{plan.upstream_port}",
        "ZHIGU_PAYOUT_HOLD_DAYS": "0",
    }


def sandbox_children(settings: Settings, plan: SandboxPlan, port: int, workers: int) -> list[Child]:
    """Every process of a sandbox that serves on `port`."""
    url = f"http://127.0.0.1:{port}"
    env = sandbox_environment(settings, plan, url)
    double = [
        *(sys.executable, "-m", "app.sandbox.stripe_double", "--port", str(plan.double_port)),
        *("--webhook-url", f"{url}/webhooks/stripe", "--webhook-secret", plan.webhook_secret),
        *("--state", str(settings.home / "stripe_double.json")),
    ]
    upstream = [
        *(sys.executable, "-m", "app.sandbox.upstream", "--port", str(plan.upstream_port)),
        *("--key", plan.upstream_key),
    ]
    serve = zhigu_command("serve", "--alone", "--port", str(port), "--workers", str(workers))
    return [
        Child("server", serve, env),
        Child("worker", zhigu_command("work"), env),
        Child("stripe double", double),
        Child("demo upstream", upstream),
    ]


def wait_until_ready(url: str) -> None:
    """Return once the server says that it is ready; `TimeoutError` after a minute."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        try:
            if send("GET", f"{url}/readyz", None, {}).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the server at {url} did not become ready")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
