"""A transaction is whole or nothing, and what a refusal must remember survives."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import select

from app.db.installation import Installation
from app.db.locks import get_or_refuse
from app.db.session import commit, now, rollback
from app.jobs.models import Job
from app.jobs.queue import enqueue
from app.kernel.actor import OPERATOR
from app.kernel.clock import SetClock
from app.kernel.refusals import Outage, RowNotFound, RuleBroken


def kinds(installation: Installation) -> list[str]:
    with installation.transaction(OPERATOR, writes=False) as session:
        return [job.kind for job in session.exec(select(Job).order_by(Job.id))]


def test_nothing_is_opened_before_the_first_statement(installation: Installation) -> None:
    opened: list[object] = []
    event.listen(installation.market, "begin", opened.append)
    with installation.transaction(OPERATOR):
        pass
    assert opened == []
    with installation.transaction(OPERATOR) as session:
        enqueue(session, "a")
    assert len(opened) == 1


def test_an_error_of_the_store_tells_no_value_to_the_logs(installation: Installation) -> None:
    for engine in (installation.market, installation.usage):
        with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
            connection.execute(text("SELECT * FROM nowhere WHERE a = :a"), {"a": "a secret"})
        assert "nowhere" in str(raised.value)
        assert "a secret" not in str(raised.value)


def test_a_transaction_has_one_moment(installation: Installation) -> None:
    """Rows and leaves that were written together say so, however long the work took."""
    ticking = replace(installation, clock=Ticking(installation.clock.now()))
    with ticking.transaction(OPERATOR) as session:
        moment = now(session)
        assert now(session) == moment
        commit(session)
        assert now(session) > moment
    with ticking.transaction(OPERATOR) as session:
        later = now(session)
        assert later > moment
        rollback(session)
        assert now(session) > later


class Ticking(SetClock):
    """A clock that moves each time it is read."""

    def now(self) -> datetime:
        self.advance(timedelta(microseconds=1))
        return super().now()


def test_a_snapshot_sees_the_store_as_it_was_when_it_began(installation: Installation) -> None:
    with installation.snapshot(OPERATOR) as session:
        assert session.exec(select(Job.kind)).all() == []
        with installation.transaction(OPERATOR) as writer:
            enqueue(writer, "later")
        assert session.exec(select(Job.kind)).all() == []
    assert kinds(installation) == ["later"]


def test_an_exception_undoes_everything(installation: Installation) -> None:
    with pytest.raises(ZeroDivisionError), installation.transaction(OPERATOR) as session:
        enqueue(session, "a")
        _ = 1 // 0
    assert kinds(installation) == []


def test_a_refusal_keeps_only_what_it_must_remember(installation: Installation) -> None:
    with pytest.raises(RuleBroken), installation.transaction(OPERATOR) as session:
        enqueue(session, "undone")
        raise RuleBroken("no", keep=lambda fresh: enqueue(fresh, "remembered"))
    assert kinds(installation) == ["remembered"]


def test_a_refusal_that_cannot_be_remembered_is_an_outage(installation: Installation) -> None:
    def keep(session: object) -> None:
        raise OperationalError("INSERT", None, Exception("gone"))

    with pytest.raises(Outage), installation.transaction(OPERATOR):
        raise RuleBroken("no", keep=keep)


def test_a_failed_commit_is_an_outage_and_leaves_nothing(installation: Installation) -> None:
    def fail(_connection: object) -> None:
        raise OperationalError("COMMIT", None, Exception("gone"))

    event.listen(installation.market, "commit", fail)
    with pytest.raises(Outage), installation.transaction(OPERATOR) as session:
        enqueue(session, "a")
    event.remove(installation.market, "commit", fail)
    assert kinds(installation) == []


def test_a_missing_row_is_refused_as_a_foreign_one_would_be(installation: Installation) -> None:
    with pytest.raises(RowNotFound), installation.transaction(OPERATOR) as session:
        get_or_refuse(session, Job, "job_" + "0" * 26, lock=True)


def test_writers_that_read_then_decide_wait_for_each_other(installation: Installation) -> None:
    """Ten threads add one to a counter by read-decide-write: none is lost."""
    with installation.transaction(OPERATOR) as session:
        enqueue(session, "counter")
        job_id = session.exec(select(Job.id)).one()

    def add_one() -> None:
        with installation.transaction(OPERATOR) as session:
            job = get_or_refuse(session, Job, job_id, lock=True)
            job.attempts += 1
            session.add(job)

    threads = [threading.Thread(target=add_one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with installation.transaction(OPERATOR, writes=False) as session:
        assert get_or_refuse(session, Job, job_id).attempts == 10


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_question_that_was_not_read_to_its_end_holds_no_view_of_the_store(
    installation: Installation,
) -> None:
    """As when an exception keeps the question, until the garbage is collected."""
    fill = "INSERT INTO change (number, topic, subject, at_us) VALUES (?, 't', 's', 1)"
    with installation.usage_transaction() as connection:
        for number in range(1, 6):
            connection.exec_driver_sql(fill, (number,))
    unread = []
    with pytest.raises(ZeroDivisionError), installation.usage_transaction(writes=False) as usage:
        unread.append(usage.exec_driver_sql("SELECT number FROM change"))
        unread[0].fetchone()
        raise ZeroDivisionError
    borrowed = [installation.usage.connect() for _ in range(2)]
    with borrowed[1].begin():  # another connection than the one that was given back
        borrowed[1].exec_driver_sql(fill, (6,))
    with borrowed[0].begin():
        assert borrowed[0].exec_driver_sql("SELECT count(*) FROM change").scalar_one() == 6
        borrowed[0].exec_driver_sql("UPDATE change SET subject = 'x'")
    for connection in borrowed:
        connection.close()


def test_sqlite_is_set_up_for_money(installation: Installation) -> None:
    if installation.market.dialect.name != "sqlite":
        with installation.market.connect() as connection:
            assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
        return
    with installation.market.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value
