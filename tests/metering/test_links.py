"""The meter's part of the chain: of very many calls the first, and always the one asked for."""

from __future__ import annotations

import pytest

from app.db.installation import Installation
from app.metering import links
from app.metering.links import contract_of, links_of
from tests.metering.calling import call_on
from tests.metering.store import give, settle

CONTRACT = "ctr_of_grt_one"


def test_the_call_that_is_asked_for_is_shown_however_late_it_came(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "SHOWN_EVENTS", 2)
    grant = give(installation)
    settled = settle(installation, *(call_on(grant) for _ in range(5)))
    give(installation, "grt_two")
    events = [answer.event_id for answer in settled]
    with installation.usage_transaction(writes=False) as usage:
        assert [link.id for link in links_of(usage, CONTRACT, CONTRACT)] == events[:2]
        assert [link.id for link in links_of(usage, CONTRACT, events[3])] == [
            *events[:2],
            events[3],
        ]
        assert contract_of(usage, events[3]) == CONTRACT
