"""One running installation: its settings, clock, master keys and two stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from app.db.engine import make_engine, reading, writing
from app.db.session import commit, remember, rollback, store_away
from app.kernel.actor import Actor
from app.kernel.clock import Clock
from app.kernel.refusals import Refusal
from app.kernel.sealing import Sealer
from app.settings import Settings

_ARCHIVE_DIR = "zhigu_archive_dir"


@dataclass(frozen=True, eq=False)
class Installation:
    """What an operation may need besides its session; reached as `installation_of(session)`."""

    settings: Settings
    clock: Clock
    keys: Sealer
    market: Engine
    usage: Engine

    def market_session(self, actor: Actor, *, writes: bool = True) -> Session:
        """A lazy session on the market store: nothing is opened before its first statement."""
        return Session(
            writing(self.market) if writes else self.market,
            expire_on_commit=False,
            info={"actor": actor, "installation": self},
        )

    @contextmanager
    def transaction(self, actor: Actor, *, writes: bool = True) -> Iterator[Session]:
        """One transaction on the market store: commits at the end, rolls back on any exception.

        A `Refusal` rolls back and then writes what it must remember (`keep`) in a transaction of
        its own, before it goes on up.
        """
        session = self.market_session(actor, writes=writes)
        try:
            yield session
            commit(session)
        except Refusal as refusal:
            rollback(session)
            remember(self.market_session(actor), refusal)
            raise
        except BaseException:
            rollback(session)
            raise
        finally:
            session.close()

    @contextmanager
    def snapshot(self, actor: Actor) -> Iterator[Session]:
        """One reading transaction on the market store, which sees it as it was when it began."""
        with Session(reading(self.market), info={"actor": actor, "installation": self}) as session:
            yield session

    @contextmanager
    def usage_transaction(self, *, writes: bool = True) -> Iterator[Connection]:
        """One transaction on the usage store, beside those of the tally; a reading one sees the
        store as it was when it began.

        Raises `Outage` when the store is away or the commit's outcome is unknown.
        """
        engine = writing(self.usage) if writes else reading(self.usage)
        try:
            with engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, IntegrityError):
                raise
            raise store_away(error) from error


def open_installation(settings: Settings, clock: Clock, keys: Sealer) -> Installation:
    """The installation that `settings` describe; connects to nothing yet."""
    usage = make_engine(settings.store_url("usage"))
    usage.update_execution_options(**{_ARCHIVE_DIR: settings.archive_dir})
    return Installation(settings, clock, keys, make_engine(settings.store_url("market")), usage)


def archive_dir_of(connection: Connection) -> Path:
    """The folder of the files that events of this usage store have gone to."""
    found = connection.get_execution_options()[_ARCHIVE_DIR]
    assert isinstance(found, Path)
    return found


def installation_of(session: Session) -> Installation:
    """The installation that a session belongs to."""
    installation = session.info["installation"]
    assert isinstance(installation, Installation)
    return installation
