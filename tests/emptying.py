"""Emptying: a PostgreSQL database that one test has used, made fit for the next.

To create one from a template takes ten times as long. Only rows are taken out: a database whose
tables, triggers or functions were touched is not used again.
"""

from __future__ import annotations

import psycopg
from psycopg import sql
from sqlalchemy import make_url

WATCH = """
CREATE SCHEMA watch;
CREATE TABLE watch.change (command text);
CREATE FUNCTION watch.note_change() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO watch.change VALUES (TG_TAG); END $$;
CREATE EVENT TRIGGER watch_command ON ddl_command_end EXECUTE FUNCTION watch.note_change();
CREATE EVENT TRIGGER watch_drop ON sql_drop EXECUTE FUNCTION watch.note_change();
"""
"""Remembers that something else than rows was changed."""

_CHANGES = """
SELECT command FROM watch.change
UNION ALL
SELECT setconfig[1] FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
WHERE datname = current_database()
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_FILLED = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND (c.relpages > 0 OR pg_relation_size(c.oid) > 0)
"""


def watch(url: str) -> None:
    """Begin to remember changes; the copies of a database remember theirs."""
    with _connect(url) as connection:
        connection.execute(WATCH)


def is_emptied(url: str) -> bool:
    """Take every row out, past all triggers; False where more than rows was changed."""
    try:
        with _connect(url) as connection:
            connection.execute(_END_OTHERS)
            if connection.execute(_CHANGES).fetchone() is not None:
                return False
            connection.execute("SET session_replication_role = replica")
            connection.execute("SET lock_timeout = '2s'")
            with connection.transaction():
                for (name,) in connection.execute(_FILLED).fetchall():
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
    except psycopg.OperationalError:  # it does not answer, or somebody holds a row
        return False
    return True


def _connect(url: str) -> psycopg.Connection:
    plain = make_url(url).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)
