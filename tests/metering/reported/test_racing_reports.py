"""Names that others take while they are being posted."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from app.db.installation import Installation
from app.metering.reported import reporting
from tests.conftest import Api
from tests.metering.grant_documents import PROVIDER
from tests.metering.reports import DELIVERED, report, send, statuses
from tests.metering.store import fsck, give


@pytest.mark.parametrize(("taken", "status"), [(2, 200), (3, 503)])
def test_a_name_that_others_take_again_and_again_is_asked_for_later(
    installation: Installation, api: Api, monkeypatch: pytest.MonkeyPatch, taken: int, status: int
) -> None:
    give(installation, meter="row", **DELIVERED)
    provider = api.as_client(PROVIDER, "usage:write")
    post, tries = reporting._post, []

    def post_late(*arguments: object) -> object:
        tries.append(arguments)
        if len(tries) <= taken:
            raise IntegrityError("INSERT", None, ValueError("unique"))
        return post(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reporting, "_post", post_late)
    answer = send(provider, report("one", 1))
    assert answer.status_code == status, answer.text
    monkeypatch.undo()
    again = statuses(send(provider, report("one", 1)))
    assert again == (["duplicate"] if status == 200 else ["posted"])
    fsck(installation)
