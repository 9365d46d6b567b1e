"""The sandbox: server, worker, Stripe double and demo upstream under one supervisor."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.initialising import initialise
from app.kernel.sealing import write_private
from app.sandbox.http_client import send
from app.sandbox.seeding import Demo, demo_file, last_url, load_demo, remember_admin, seed
from app.serving import Child, Supervisor, zhigu_command
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
    log = log_file(settings.home)
    return [
        Child("server", serve, env, log),
        Child("worker", zhigu_command("work"), env, log),
        Child("stripe double", double, log=log),
        Child("demo upstream", upstream, log=log),
    ]


def log_file(home: Path) -> Path | None:
    """Where log lines go that somebody at a terminal would not want among what we tell him."""
    return home / "sandbox.log" if sys.stderr.isatty() else None


def wait_until_ready(url: str, within_s: float = READY_WITHIN_S) -> None:
    """Return once the server says that it is ready; `TimeoutError` when it takes longer."""
    until = time.monotonic() + within_s
    while True:
        with suppress(OSError):
            if send("GET", f"{url}/readyz", None, {}).status == 200:
                return
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    raise TimeoutError(f"the server at {url} did not become ready")


def start_sandbox(
    settings: Settings, port: int, workers: int, say: Callable[[str], None]
) -> tuple[Supervisor, Demo]:
    """Set up what is missing, start every process and seed the demo; the caller runs the rest."""
    url = f"http://127.0.0.1:{port}"
    if _is_taken(port):
        raise OSError(f"port {port} is taken; choose another with PORT=… or --port")
    made = initialise(settings)
    if made["admin_client_secret"]:
        remember_admin(settings.home, made["admin_client_id"], made["admin_client_secret"])
    elif not demo_file(settings.home).exists():
        raise OSError(f"{settings.home} was set up without demo data: choose another ZHIGU_HOME")
    plan = plan_sandbox(settings.home)
    flag = settings.home / f"draining.{os.getpid()}"
    children = sandbox_children(settings, plan, port, workers)
    supervisor = Supervisor(children, flag, drain_delay_s=0.0)
    supervisor.start()
    try:
        wait_until_ready(url)
        return supervisor, seed(settings.home, url, (plan.upstream_url, plan.upstream_key), say)
    except BaseException as error:
        supervisor.stop()
        if isinstance(error, TimeoutError) and (log := log_file(settings.home)):
            raise TimeoutError(f"{error}; {log} says why") from error
        raise


@contextmanager
def running_demo(settings: Settings, url: str | None, say: Callable[[str], None]) -> Iterator[Demo]:
    """The demo on the server at `url`, or where it was last started.

    Starts a sandbox there, and ends it, when nobody answers.
    """
    url = url or last_url(settings.home)
    try:
        wait_until_ready(url, within_s=0.0)
    except TimeoutError:
        say(f"nobody answers at {url}: starting a sandbox for the demo")
        port = urlsplit(url).port or 8000
        supervisor, demo = start_sandbox(settings, port, 1, say)
        try:
            yield demo
        finally:
            supervisor.stop()
    else:
        yield load_demo(settings.home, url)


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
