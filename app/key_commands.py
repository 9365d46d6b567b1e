"""`zhigu keys`: signing keys of organisations, and the keys of this installation."""

from __future__ import annotations

import json
from pathlib import Path

import click

from app.terminal import home_of, key_in, settings_here


@click.group()
def keys() -> None:
    """Signing keys of an organisation, and the keys of this installation.

    The private half of an organisation's key never reaches the server.
    """


@keys.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def keys_new(file: Path) -> None:
    """Make an Ed25519 key in FILE (mode 0600) and print its public half as a JWK."""
    from app.kernel.jwk import new_key_file

    try:
        public = new_key_file(file)
    except FileExistsError as error:
        raise click.ClickException(f"{file} exists; it is not overwritten") from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be made: {error.strerror}") from error
    click.echo(json.dumps(public.jwk))


@keys.command("prove")
@click.option("--key", "key_file", required=True, type=click.Path(path_type=Path, exists=True))
@click.argument("organisation")
@click.argument("nonce")
def keys_prove(key_file: Path, organisation: str, nonce: str) -> None:
    """Print the proof of possession that registering a key asks for; NONCE is its `nonce`."""
    from app.kernel.canonical import canonical
    from app.kernel.clock import SystemClock
    from app.kernel.jws import KEY_PROOF_TYPE, sign_compact

    payload = canonical({"organisation": organisation, "nonce": nonce})
    key = key_in(key_file)
    click.echo(sign_compact(key, payload, typ=KEY_PROOF_TYPE, at=SystemClock().now()))


@keys.command("rotate")
@click.option("--drop-old", is_flag=True, help="Forget the keys that nothing needs any more.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def keys_rotate(drop_old: bool, as_json: bool) -> None:
    """Make a new master key and a new key for access tokens, while everything runs.

    Secrets are sealed anew under the master key; killed in between, a repeat goes on. Old keys
    still open and verify until --drop-old. The log's own key is only sealed anew, never replaced;
    keys of organisations are theirs.
    """
    from dataclasses import asdict

    from app.kernel.clock import rfc3339
    from app.kernel.key_file import NAME
    from app.rotating import KeysInUse, drop_old_keys, rotate_keys

    settings = settings_here()
    home, path = home_of(settings), settings.home / NAME
    try:
        done = drop_old_keys(home, path) if drop_old else rotate_keys(home, path)
    except KeysInUse as error:
        raise click.ClickException(str(error)) from error
    facts = asdict(done)
    if "token_key_signs_from" in facts:
        facts["token_key_signs_from"] = rfc3339(facts["token_key_signs_from"])
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name:<20} {value}")
