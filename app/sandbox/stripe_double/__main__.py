"""`python -m app.sandbox.stripe_double`: the double as a process of its own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from app.sandbox.stripe_double.double import DoubleOptions, StripeDouble
from app.sandbox.stripe_double.server import make_app
from app.sandbox.stripe_double.world import Rules
from app.sandbox.threads import HOST, serve_process


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--webhook-url", help="Where events are sent; without it they wait.")
@click.option("--webhook-secret", required=True, help="What webhooks are signed with.")
@click.option("--state", type=click.Path(path_type=Path), help="A file that outlives a restart.")
@click.option(
    "--fee-rate", default="3/106", show_default=True, help="The processing fee, as a fraction."
)
def main(
    port: int, webhook_url: str | None, webhook_secret: str, state: Path | None, fee_rate: str
) -> None:
    """Serve a SANDBOX double of Stripe on 127.0.0.1. No money moves."""
    try:
        rules = Rules(fee_rate=Fraction(fee_rate))
    except (ValueError, ZeroDivisionError):
        raise click.ClickException("--fee-rate is a fraction such as 3/106") from None
    double = StripeDouble(DoubleOptions(webhook_url, webhook_secret, state, rules))
    double.world.base_url = f"http://{HOST}:{port}"
    click.echo(f"SANDBOX: the Stripe double is at {double.world.base_url}", err=True)
    serve_process(make_app(double), port)


if __name__ == "__main__":
    main()
