"""The change feed gives every change once, in the order of commits."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from app.db.changes import (
    PAGE,
    Change,
    announce,
    changes_since,
    forget_changes,
    last_change,
)
from app.db.installation import Installation


def put(installation: Installation, *subjects: str, at_us: int = 1) -> None:
    with installation.usage_transaction() as connection:
        for subject in subjects:
            announce(connection, "grant", subject, at_us)


def test_a_reader_gets_what_is_new_and_nothing_twice(installation: Installation) -> None:
    put(installation, "a", "b")
    with installation.usage.connect() as connection:
        changes = changes_since(connection, 0)
        assert changes.items == (Change(1, "grant", "a"), Change(2, "grant", "b"))
        assert changes.complete and changes.last_number == 2 == last_change(connection)
        assert changes_since(connection, 2).items == ()


def test_a_change_that_was_rolled_back_leaves_no_gap(installation: Installation) -> None:
    put(installation, "a")
    try:
        with installation.usage_transaction() as connection:
            announce(connection, "grant", "never", 1)
            raise KeyError
    except KeyError:
        pass
    put(installation, "b")
    with installation.usage.connect() as connection:
        assert [change.subject for change in changes_since(connection, 0).items] == ["a", "b"]


def test_a_number_that_is_seen_is_never_followed_by_a_smaller_one(
    installation: Installation,
) -> None:
    def announce_many() -> None:
        for _ in range(20):
            put(installation, "x")

    threads = [threading.Thread(target=announce_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = 0
    while seen < 80:
        with installation.usage.connect() as connection:
            changes = changes_since(connection, seen)
        numbers = [change.number for change in changes.items]
        assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
        assert changes.complete
        seen += len(numbers)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("ends", ["committed", "rolled back"])
def test_one_that_took_its_number_early_and_commits_late_is_waited_for(
    installation: Installation, ends: str
) -> None:
    other = threading.Thread(target=put, args=(installation, "late"))

    def read() -> list[Change]:
        with installation.usage.connect() as connection:
            return list(changes_since(connection, 0).items)

    with suppress(KeyError), installation.usage_transaction() as connection:
        assert announce(connection, "grant", "early", 1) == 1
        other.start()
        other.join(0.3)
        assert other.is_alive(), "nobody takes a number while another's is not committed"
        assert read() == [], "nor is any seen"
        if ends == "rolled back":
            raise KeyError
    other.join(10)
    subjects = ["early", "late"] if ends == "committed" else ["late"]
    assert [(one.number, one.subject) for one in read()] == list(enumerate(subjects, 1))


def test_a_reader_whose_connections_broke_goes_on_where_it_was(
    installation: Installation, engine_name: str
) -> None:
    put(installation, "a")
    with installation.usage.connect() as connection:
        seen = changes_since(connection, 0).last_number
    if engine_name == "postgres":
        with installation.usage_transaction() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    else:
        installation.usage.dispose()
    put(installation, "b")
    with installation.usage.connect() as connection:
        assert changes_since(connection, seen).items == (Change(2, "grant", "b"),)


def test_a_reader_behind_what_is_kept_must_load_everything(installation: Installation) -> None:
    put(installation, "a", "b", at_us=1)
    put(installation, "c", at_us=5)
    with installation.usage_transaction() as connection:
        forget_changes(connection, before_us=5)
    with installation.usage.connect() as connection:
        assert not changes_since(connection, 1).complete
        assert changes_since(connection, 1).last_number == 3
        assert changes_since(connection, 2).complete


def test_a_reader_ahead_of_a_restored_store_must_load_everything(
    installation: Installation,
) -> None:
    put(installation, "a")
    with installation.usage.connect() as connection:
        changes = changes_since(connection, 7)
    assert not changes.complete and changes.last_number == 1


def test_a_long_feed_comes_in_pages(installation: Installation) -> None:
    put(installation, *["x"] * (PAGE + 1))
    with installation.usage.connect() as connection:
        first = changes_since(connection, 0)
        assert first.complete and first.last_number == PAGE == len(first.items)
        assert len(changes_since(connection, first.last_number).items) == 1
