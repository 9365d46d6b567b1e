"""Verifying: an organisation asks, and a reviewer who is not of it decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.accounts.errors import (
    DecisionIncomplete,
    OwnVerification,
    VerificationStepRefused,
)
from app.accounts.models import Organisation, Verification
from app.accounts.queries import (
    access_managed_organisation,
    load_organisation,
    open_verification,
    verification_at,
)
from app.accounts.roles import Role, must_have_role
from app.accounts.states import Decision, VerificationState, may_move
from app.audit.recording import record
from app.db.installation import Installation
from app.db.session import actor_of, now
from app.kernel.actor import job_actor
from app.kernel.clock import day_after, local_day, rfc3339

VALID_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an organisation shows: `documents` are names and SHA-256 of papers kept elsewhere."""

    legal_representative: str | None = None
    documents: Sequence[dict[str, Any]] = ()
    note: str | None = None


def request_verification(
    session: Session, organisation_id: str, evidence: Evidence
) -> Organisation:
    """Ask for a first verification or for a renewal; one request at a time."""
    organisation = access_managed_organisation(session, organisation_id)
    if open_verification(session, organisation_id) is not None:
        raise VerificationStepRefused(
            "A request is waiting for its decision.",
            verification_state=organisation.verification_state.value,
        )
    _settle_expiry(organisation, now(session))
    if organisation.verification_state is not VerificationState.VERIFIED:
        _move(organisation, VerificationState.PENDING, until=None)
    last = session.exec(
        select(sa.func.max(Verification.number)).where(
            Verification.organisation_id == organisation_id
        )
    ).one()
    number = (last or 0) + 1
    session.add(
        Verification(
            organisation_id=organisation_id,
            number=number,
            legal_representative=evidence.legal_representative,
            documents=list(evidence.documents),
            note=evidence.note,
            requested_at=now(session),
            requested_by=actor_of(session).id,
            decision=None,
            decided_at=None,
            decided_by=None,
            reason=None,
            valid_until=None,
        )
    )
    record(
        session,
        "organisation:verification_requested",
        organisation_id,
        organisations=(organisation_id,),
        number=number,
        documents=[document["sha256"] for document in evidence.documents],
    )
    return organisation


def decide_verification(
    session: Session,
    organisation_id: str,
    decision: Decision,
    *,
    reason: str | None = None,
    expires_on: date | None = None,
) -> Organisation:
    """Verify, until the end of `expires_on` (in a year, if not said), or reject with a reason.

    Refuses with `OwnVerification`, `VerificationStepRefused` or `DecisionIncomplete`.
    """
    actor = actor_of(session)
    must_have_role(actor, Role.REVIEWER)
    if actor.organisation_id == organisation_id:
        raise OwnVerification("Nobody verifies their own organisation.")
    organisation = load_organisation(session, organisation_id, lock=True)
    request = open_verification(session, organisation_id)
    if request is None:
        raise VerificationStepRefused(
            "There is no request to decide.",
            verification_state=organisation.verification_state.value,
        )
    moment = now(session)
    until = _valid_until(decision, expires_on, moment)
    if decision is Decision.REJECTED and not reason:
        raise DecisionIncomplete("A rejection needs a reason.")
    _move(organisation, VerificationState(decision.name), until=until)
    request.decision = decision
    request.decided_at = moment
    request.decided_by = actor.id
    request.reason = reason
    request.valid_until = until
    record(
        session,
        f"organisation:{decision.value}",
        organisation_id,
        organisations=(organisation_id,),
        number=request.number,
        reason=reason,
        valid_until=None if until is None else rfc3339(until),
    )
    return organisation


def expire_verifications(installation: Installation) -> None:
    """Say EXPIRED of every verification whose time is over; recurring work."""
    with installation.transaction(job_actor("accounts.expire")) as session:
        lapsed = session.exec(
            select(Organisation)
            .where(
                Organisation.verification_state == VerificationState.VERIFIED,
                col(Organisation.verified_until) <= now(session),
            )
            .order_by(col(Organisation.id))
            .with_for_update(skip_locked=True)
        ).all()
        for organisation in lapsed:
            _settle_expiry(organisation, now(session))
            record(
                session,
                "organisation:expired",
                organisation.id,
                organisations=(organisation.id,),
            )


def verifications_of(session: Session, organisation_id: str) -> list[Verification]:
    """Every request of the organisation, newest first."""
    return list(
        session.exec(
            select(Verification)
            .where(Verification.organisation_id == organisation_id)
            .order_by(col(Verification.number).desc())
        )
    )


def _settle_expiry(organisation: Organisation, moment: datetime) -> None:
    if verification_at(organisation, moment) is not organisation.verification_state:
        _move(organisation, VerificationState.EXPIRED, until=organisation.verified_until)


def _move(organisation: Organisation, state: VerificationState, *, until: datetime | None) -> None:
    if not may_move(organisation.verification_state, state):
        raise VerificationStepRefused(
            f"A verification that is {organisation.verification_state} does not become {state}.",
            verification_state=organisation.verification_state.value,
        )
    organisation.verification_state = state
    organisation.verified_until = until
    organisation.edit += 1


def _valid_until(decision: Decision, expires_on: date | None, moment: datetime) -> datetime | None:
    if decision is Decision.REJECTED:
        if expires_on is not None:
            raise DecisionIncomplete("A rejection does not expire.")
        return None
    today = local_day(moment)
    last_day = expires_on or today + timedelta(days=VALID_DAYS)
    if last_day < today:
        raise DecisionIncomplete("expires_on is over already.", today=today.isoformat())
    return day_after(last_day)
