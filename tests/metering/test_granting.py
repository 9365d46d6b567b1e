"""A compiled grant comes into force once, by its epoch, and is announced with it."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa

from app.db.changes import changes_since
from app.db.installation import Installation
from app.metering.granting import apply_grant
from app.metering.tables import grant_state, grant_terms
from tests.metering.grant_documents import grant_document


def apply(installation: Installation, **changes: object) -> bool:
    with installation.usage_transaction() as connection:
        return apply_grant(connection, grant_document(**changes), at_us=5)


def test_only_a_newer_epoch_comes_into_force(installation: Installation) -> None:
    assert apply(installation, epoch=2)
    assert not apply(installation, epoch=2, live=False)
    assert not apply(installation, epoch=1, live=False)
    assert apply(installation, epoch=5, live=False)
    with installation.usage.connect() as connection:
        state = connection.execute(sa.select(grant_state)).one()
        assert (state.epoch, state.live, state.last_number) == (5, False, 0)


def test_every_terms_in_force_are_kept(installation: Installation) -> None:
    apply(installation, epoch=1, plan_id="pln_old")
    apply(installation, epoch=2, plan_id="pln_new")
    with installation.usage.connect() as connection:
        rows = connection.execute(sa.select(grant_terms).order_by(grant_terms.c.epoch)).all()
    assert [(row.epoch, row.plan_id) for row in rows] == [(1, "pln_old"), (2, "pln_new")]
    assert rows[1].compiled == grant_document(epoch=2, plan_id="pln_new")


def test_what_changes_nothing_is_not_announced(installation: Installation) -> None:
    apply(installation)
    apply(installation)
    with installation.usage.connect() as connection:
        changes = changes_since(connection, 0)
    assert [(change.topic, change.subject) for change in changes.items] == [("grant", "grt_one")]


def test_a_document_that_is_no_grant_is_refused(installation: Installation) -> None:
    with pytest.raises(msgspec.ValidationError):
        apply(installation, epoch="newest")
