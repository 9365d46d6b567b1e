"""The `zhigu` command: data to stdout, progress to stderr, exit code 0 only when it worked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.key_commands import keys
from app.terminal import home_of, key_in, settings_here

if TYPE_CHECKING:
    from datetime import datetime

    from app.db.installation import Installation


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Zhigu (智谷): a paid-use data alliance, from licence term to payout.

    The installation lives at $ZHIGU_HOME (default ./var).
    """


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def init(as_json: bool) -> None:
    """Create and migrate the stores, the keys and the operator's first client.

    Safe to repeat: what exists is kept, and the secret is printed only when it is made.
    """
    from app.initialising import initialise

    result = initialise(settings_here())
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"home              {result['home']}")
    click.echo(f"admin_client_id   {result['admin_client_id']}")
    if result["admin_client_secret"]:
        click.echo(f"admin_client_secret {result['admin_client_secret']}   (shown once)")


main.add_command(keys)


@main.command()
def migrate() -> None:
    """Bring both stores to the newest shape."""
    from app.initialising import migrate_stores

    migrate_stores(settings_here())
    click.echo("both stores are current", err=True)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--no-jobs", is_flag=True, help="Do not start a worker for background jobs.")
@click.option("--alone", is_flag=True, hidden=True)
def serve(host: str, port: int, workers: int, no_jobs: bool, alone: bool) -> None:
    """Serve HTTP, with one worker for background jobs beside it."""
    from app.serving import Child, Supervisor, run_server, zhigu_command

    if alone:
        run_server(host, port, workers)
        return
    settings = settings_here()
    _warn_of_loss(home_of(settings))
    bind = ("--host", host, "--port", str(port), "--workers", str(workers))
    children = [Child("server", zhigu_command("serve", "--alone", *bind))]
    if not no_jobs:
        children.append(Child("worker", zhigu_command("work")))
    flag = settings.home / f"draining.{os.getpid()}"
    supervisor = Supervisor(children, flag, settings.drain_delay_s)
    supervisor.start()
    click.echo(f"serving on http://{host}:{port}", err=True)
    sys.exit(supervisor.run())


@main.command()
def work() -> None:
    """Run background jobs until told to stop."""
    from app.serving import run_worker

    home_of(settings_here())
    run_worker()


@main.command()
@click.option("--key", "key_file", required=True, type=click.Path(path_type=Path, exists=True))
@click.argument("terms", type=click.File("rb"))
def sign(key_file: Path, terms: Any) -> None:
    """Print a detached JWS over the canonical bytes of TERMS (a file, or - for standard input)."""
    from app.kernel.canonical import canonical
    from app.kernel.clock import SystemClock
    from app.kernel.jws import TERMS_TYPE, sign_detached

    content = terms.read()
    try:
        is_canonical = canonical(json.loads(content)) == content
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"TERMS is not a terms document: {error}") from error
    if not is_canonical:
        raise click.ClickException(
            "TERMS is not in canonical form: sign the bytes as they were served"
        )
    click.echo(sign_detached(key_in(key_file), content, typ=TERMS_TYPE, at=SystemClock().now()))


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--vkey", required=True, help="The log's verifier key, from a source you trust.")
@click.option("--json", "as_json", is_flag=True, help="Print what is proven as JSON.")
def verify(file: Any, vkey: str, as_json: bool) -> None:
    """Check an exported receipt offline; a key inside the file is never trusted."""
    from app.audit.verifying import ReceiptInvalid, verify_receipt

    try:
        proven = verify_receipt(file.read(), vkey)
    except ReceiptInvalid as error:
        raise click.ClickException(f"the receipt does not hold: {error}") from error
    facts = {
        "origin": proven.origin,
        "leaf": proven.number,
        "tree_size": proven.tree_size,
        "recorded": proven.leaf,
        "event": proven.event,
    }
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo(f"it holds: leaf {proven.number} of {proven.tree_size} in {proven.origin}")
        click.echo(json.dumps(proven.event or proven.leaf, ensure_ascii=False, indent=2))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def fsck(as_json: bool) -> None:
    """Check every invariant on the live stores, read-only; exit 1 when one is broken."""
    from app.reports.fsck import check_everything

    problems = list(check_everything(home_of(settings_here())))
    if as_json:
        click.echo(json.dumps([{"group": p.group, "problem": p.text} for p in problems]))
    else:
        for problem in problems:
            click.echo(f"{problem.group}: {problem.text}")
        click.echo("broken" if problems else "every invariant holds", err=True)
    sys.exit(1 if problems else 0)


@main.group()
def usage() -> None:
    """What was used: counters and totals, and the events that they are made of."""


@usage.command("recount")
@click.option("--grant", "grant_id", help="One grant; without it, all of them.")
@click.option("--all", "everything", is_flag=True, help="Every grant.")
@click.option("--apply", is_flag=True, help="Write the totals anew where they differ.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def usage_recount(grant_id: str | None, everything: bool, apply: bool, as_json: bool) -> None:
    """Make counters and totals again from the events, archived ones too, and tell differences.

    Events and counters are never changed. Exit 1 when there was a difference, mended or not.
    """
    from dataclasses import asdict

    from app.kernel.refusals import RowNotFound
    from app.metering.history.recounting import recount

    if everything == (grant_id is not None):
        raise click.UsageError("say --grant ID or --all")
    try:
        found = list(recount(home_of(settings_here()), grant_id, apply=apply))
    except RowNotFound as error:
        raise click.ClickException(error.detail) from error
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            said = "mended" if one.mended else "differs"
            click.echo(f"{one.what} {one.name} of {one.grant_id} {said}:")
            click.echo(f"  kept {one.kept}\n  counted {one.counted}")
        click.echo(f"{len(found)} differences", err=True)
    sys.exit(1 if found else 0)


@usage.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--contract", "contract_id", help="Only the events of one contract.")
@click.option("--listing", "listing_id", help="Only the events on one listing.")
@click.option("--from", "first_on", type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "last_on", type=click.DateTime(["%Y-%m-%d"]), help="Last day, included.")
def usage_export(
    file: Path,
    contract_id: str | None,
    listing_id: str | None,
    first_on: datetime | None,
    last_on: datetime | None,
) -> None:
    """Write settled calls to FILE: Parquet where it ends in .parquet, else CSV.

    Days are those of Asia/Shanghai. The sum of net_units is what the counters say.
    """
    from app.kernel.actor import OPERATOR
    from app.kernel.refusals import Refusal
    from app.metering.usage.exporting import export_to
    from app.metering.usage.sums import UsageFilter

    days = (None if one is None else one.date() for one in (first_on, last_on))
    wanted = UsageFilter(contract_id, listing_id, *days)
    try:
        count = export_to(file, home_of(settings_here()), OPERATOR, wanted)
    except Refusal as refusal:
        raise click.ClickException(refusal.detail) from refusal
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{count} events", err=True)


@main.command()
@click.argument("any_id")
@click.option("--json", "as_json", is_flag=True, help="Print the chain as JSON.")
def inspect(any_id: str, as_json: bool) -> None:
    """Walk the chain of a sale from any id in it: licence, contract, calls, invoice, payout."""
    from app.kernel.refusals import RowNotFound
    from app.reports.inspecting import inspect_any

    home = home_of(settings_here())
    try:
        sales = inspect_any(home, any_id)
    except RowNotFound as error:
        raise click.ClickException(f"{any_id} belongs to no sale") from error
    if as_json:
        links = [
            [{"id": link.id, "kind": link.kind, "facts": link.facts} for link in sale.links]
            for sale in sales
        ]
        click.echo(json.dumps(links, ensure_ascii=False))
        return
    for sale in sales:
        for link in sale.links:
            facts = ", ".join(f"{k}={v}" for k, v in link.facts.items() if k != "licence")
            click.echo(f"{link.kind:<13} {link.id}  {facts}")


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
def sandbox(port: int, workers: int) -> None:
    """Serve with demo data, a double of Stripe and a demo upstream, all under one supervisor."""
    from app.sandbox.presenting import welcome
    from app.sandbox.running import start_sandbox

    with _clear_errors():
        supervisor, demo = start_sandbox(settings_here(), port, workers, say=_say)
    click.echo(welcome(demo))
    sys.exit(supervisor.run())


LAST_URL = "The sandbox to talk to; by default where it was last started."


@main.command()
@click.option("--url", help=LAST_URL)
def demo(url: str | None) -> None:
    """Play the whole chain on the demo data, against the running sandbox or one of its own."""
    from app.sandbox.presenting import Progress
    from app.sandbox.running import running_demo
    from app.sandbox.story import play, story_text

    with _clear_errors(), running_demo(settings_here(), url, say=_say) as found:
        told = play(found, Progress().step)
    click.echo(story_text(told))


@main.command("demo-token")
@click.argument("who", type=click.Choice(["admin", "reviewer", "auditor", "provider", "buyer"]))
@click.option("--url", help=LAST_URL)
def demo_token(who: str, url: str | None) -> None:
    """Print a fresh access token of one of the demo's clients."""
    from app.sandbox.seeding import load_demo

    with _clear_errors():
        click.echo(load_demo(settings_here().home, url).client(who).fresh_token())


@contextmanager
def _clear_errors() -> Iterator[None]:
    """What a person can mend is told in one line, not as a trace."""
    from app.sandbox.http_client import Refused

    try:
        yield
    except (Refused, OSError, TimeoutError) as error:
        raise click.ClickException(str(error)) from error


def _say(text: str) -> None:
    click.echo(text, err=True)


def _warn_of_loss(installation: Installation) -> None:
    """Say which store may lose what it has committed, as it is set up."""
    from app.db.durability import durability_doubts

    stores = {"market": installation.market, "usage": installation.usage}
    for doubt in durability_doubts(stores):
        click.echo(f"WARNING: {doubt}", err=True)
    for engine in stores.values():
        engine.dispose()


if __name__ == "__main__":
    main()
