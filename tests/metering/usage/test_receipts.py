"""The receipt of a call verifies without us, and fails on any change."""

from __future__ import annotations

import json

import pytest

from app.audit.checkpointing import sequence
from app.audit.errors import NotYetSealed
from app.audit.log_keys import ensure_log_key
from app.audit.verifying import ReceiptInvalid, verify_receipt
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical
from app.metering.history.events import events_between
from app.metering.history.segments import seal_due
from app.metering.usage.receipts import export_event_receipt
from tests.metering.calling import call_on
from tests.metering.store import give, settle


def receipt_of(installation: Installation, number: int) -> bytes:
    with (
        installation.transaction(OPERATOR, writes=False) as session,
        installation.usage_transaction(writes=False) as connection,
    ):
        (event,) = events_between(connection, "grt_one", number, number)
        return export_event_receipt(session, connection, event)


@pytest.fixture
def vkey(installation: Installation) -> str:
    with installation.transaction(OPERATOR) as session:
        return str(ensure_log_key(session))


def test_every_event_of_a_segment_has_a_receipt_that_verifies(
    installation: Installation, vkey: str
) -> None:
    grant = give(installation)
    settled = settle(installation, *(call_on(grant) for _ in range(5)))
    seal_due(installation)
    sequence(installation)
    for number, answer in enumerate(settled, 1):
        verified = verify_receipt(receipt_of(installation, number), vkey)
        assert verified.event is not None
        assert verified.event["event_id"] == answer.event_id
        assert verified.event["number"] == number
        assert verified.event["contract_id"] == grant.contract_id
        assert verified.event["terms_sha256"] == grant.terms_sha256


def test_before_the_seal_and_before_the_checkpoint_there_is_none(
    installation: Installation, vkey: str
) -> None:
    settle(installation, call_on(give(installation)))
    with pytest.raises(NotYetSealed):
        receipt_of(installation, 1)
    seal_due(installation)
    with pytest.raises(NotYetSealed):
        receipt_of(installation, 1)


def test_a_receipt_with_other_units_does_not_verify(installation: Installation, vkey: str) -> None:
    grant = give(installation)
    settle(installation, call_on(grant), call_on(grant))
    seal_due(installation)
    sequence(installation)
    document = json.loads(receipt_of(installation, 2))
    document["segment"]["event"]["units"] += 1
    with pytest.raises(ReceiptInvalid):
        verify_receipt(canonical(document), vkey)


def test_the_receipt_of_a_call_fails_on_every_flipped_byte(
    installation: Installation, vkey: str
) -> None:
    grant = give(installation)
    settle(installation, *(call_on(grant) for _ in range(3)))
    seal_due(installation)
    sequence(installation)
    content = receipt_of(installation, 2)
    assert verify_receipt(content, vkey).event is not None
    for position in range(len(content)):
        for flip in (0x01, 0x80):
            altered = bytearray(content)
            altered[position] ^= flip
            with pytest.raises(ReceiptInvalid):
                verify_receipt(bytes(altered), vkey)
