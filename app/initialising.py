"""Initialising: from an empty folder to an installation that can serve."""

from __future__ import annotations

from typing import TypedDict

from app.accounts.bootstrapping import ensure_operator
from app.accounts.oauth.token_keys import ensure_token_key
from app.audit.log_keys import ensure_log_key
from app.db.engine import make_engine
from app.db.migrating import migrate
from app.kernel.actor import OPERATOR
from app.kernel.clock import SystemClock
from app.kernel.key_file import NAME, ensure_key_file
from app.metering.history.partitions import make_months
from app.opening import alone_in, open_home
from app.settings import Settings


class Initialised(TypedDict):
    """What `zhigu init` tells; the secret is null when the client was there already."""

    home: str
    admin_client_id: str
    admin_client_secret: str | None


def initialise(settings: Settings) -> Initialised:
    """Make what is missing of home, keys, stores and the operator's client; keep the rest.

    Of several processes at one home, each does this alone.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    with alone_in(settings.home):
        return _initialise(settings)


def _initialise(settings: Settings) -> Initialised:
    settings.files_dir.mkdir(exist_ok=True)
    ensure_key_file(settings.home / NAME)
    migrate_stores(settings)
    installation = open_home(settings)
    with installation.transaction(OPERATOR) as session:
        ensure_log_key(session)
        ensure_token_key(session)
        client_id, secret = ensure_operator(session)
    installation.market.dispose()
    installation.usage.dispose()
    return {
        "home": str(settings.home),
        "admin_client_id": client_id,
        "admin_client_secret": secret,
    }


def migrate_stores(settings: Settings) -> None:
    """Bring both stores to the newest shape."""
    for store in ("market", "usage"):
        engine = make_engine(settings.store_url(store))
        migrate(engine, store)
        if store == "usage":
            with engine.begin() as connection:
                make_months(connection, SystemClock().now_us())
        engine.dispose()
