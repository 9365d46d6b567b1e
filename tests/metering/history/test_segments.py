"""Events are sealed once, in order and without a gap, and each segment is one audit leaf."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.metering.history import segments
from app.metering.history.segments import record_segments, seal_due, seal_grant
from app.metering.tables import usage_segment
from tests.metering.calling import call_on
from tests.metering.grant_documents import BUYER, PROVIDER
from tests.metering.store import execute, fsck, give, settle


def stored(installation: Installation) -> list[Any]:
    with installation.usage.connect() as connection:
        return list(
            connection.execute(
                sa.select(usage_segment).order_by(
                    usage_segment.c.grant_id, usage_segment.c.first_number
                )
            )
        )


def leaves(installation: Installation) -> list[Leaf]:
    with installation.transaction(OPERATOR, writes=False) as session:
        return list(session.exec(select(Leaf).order_by(Leaf.id)))


def test_what_was_settled_since_the_last_seal_becomes_a_segment(
    installation: Installation,
) -> None:
    one, two = give(installation, "grt_one"), give(installation, "grt_two")
    settle(installation, call_on(one), call_on(two), call_on(one))
    seal_due(installation)
    settle(installation, call_on(one))
    seal_due(installation)
    seal_due(installation)
    ranges = [(row.grant_id, row.first_number, row.last_number) for row in stored(installation)]
    assert ranges == [("grt_one", 1, 2), ("grt_one", 3, 3), ("grt_two", 1, 1)]
    assert fsck(installation) == []


def test_a_segment_is_recorded_as_one_leaf_that_both_sides_may_see(
    installation: Installation,
) -> None:
    grant = give(installation)
    settle(installation, call_on(grant), call_on(grant))
    seal_due(installation)
    (leaf,) = leaves(installation)
    (segment,) = stored(installation)
    assert segment.leaf_id == leaf.id
    assert sorted(leaf.organisations) == sorted([BUYER, PROVIDER])
    assert (leaf.kind, leaf.subject_id) == ("usage:sealed", "grt_one")
    assert f'"root":"{segment.root}"' in leaf.body
    assert '"first_number":1' in leaf.body and '"last_number":2' in leaf.body


def test_a_leaf_whose_note_was_lost_is_found_again_and_not_recorded_twice(
    installation: Installation,
) -> None:
    settle(installation, call_on(give(installation)))
    seal_due(installation)
    assert execute(installation, "UPDATE usage_segment SET leaf_id = NULL") == 1
    record_segments(installation)
    (leaf,) = leaves(installation)
    assert stored(installation)[0].leaf_id == leaf.id


def test_a_long_backlog_is_sealed_in_pieces(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MAX_EVENTS", 4)
    grant = give(installation)
    settle(installation, *(call_on(grant) for _ in range(10)))
    seal_due(installation)
    ranges = [(row.first_number, row.last_number) for row in stored(installation)]
    assert ranges == [(1, 4), (5, 8), (9, 10)]
    assert fsck(installation) == []


def test_many_sealers_seal_once(installation: Installation) -> None:
    grant = give(installation)
    settle(installation, *(call_on(grant) for _ in range(20)))
    sealed: list[object] = []

    def seal() -> None:
        sealed.append(seal_grant(installation, "grt_one"))

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([segment for segment in sealed if segment is not None]) == 1
    assert fsck(installation) == []
