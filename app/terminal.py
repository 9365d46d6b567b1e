"""What commands share: settings, the installation and keys, each or one line that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from app.db.installation import Installation
    from app.kernel.jwk import SigningKey


def settings_here(**overrides: Any) -> Settings:
    """The settings of this environment, or the end of the command in one line."""
    try:
        return load_settings(**overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def home_of(settings: Settings) -> Installation:
    """The installation that they name."""
    from app.opening import NotInitialised, open_home

    try:
        return open_home(settings)
    except NotInitialised as error:
        raise click.ClickException(str(error)) from error


def key_in(path: Path) -> SigningKey:
    """The signing key in a file."""
    from app.kernel.jwk import JoseInvalid, load_key_file

    try:
        return load_key_file(path)
    except JoseInvalid as error:
        raise click.ClickException(str(error)) from error
