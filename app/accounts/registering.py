"""Registering: organisations are entered by the administrator, amended, suspended and resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.accounts.claiming import claim
from app.accounts.credit_codes import is_credit_code
from app.accounts.errors import CreditCodeInvalid, CreditCodeTaken, NameVerified
from app.accounts.models import Organisation
from app.accounts.queries import (
    access_managed_organisation,
    load_organisation,
    open_verification,
)
from app.accounts.states import OrganisationKind, VerificationState
from app.audit.recording import record
from app.db.session import now
from app.http.entity_tags import check_if_match
from app.kernel.ids import new_id
from app.kernel.refusals import NotAllowed

VERIFIED_FIELDS = frozenset({"name", "credit_code"})
"""What a reviewer vouches for: fixed while that is under review or holds."""


@dataclass(frozen=True, kw_only=True)
class OrganisationWish:
    """What a new organisation is to be."""

    name: str
    credit_code: str
    kind: OrganisationKind
    contact: Mapping[str, Any]
    name_en: str | None = None
    region_code: str | None = None


def register_organisation(session: Session, wish: OrganisationWish) -> Organisation:
    """A new organisation, not verified yet.

    Refuses with `CreditCodeInvalid` or `CreditCodeTaken`.
    """
    _check_credit_code(wish.credit_code)
    organisation = Organisation(
        id=new_id("org"),
        name=wish.name,
        name_en=wish.name_en,
        credit_code=wish.credit_code,
        kind=wish.kind,
        region_code=wish.region_code,
        contact=dict(wish.contact),
        is_operator=False,
        verification_state=VerificationState.NONE,
        verified_until=None,
        created_at=now(session),
        suspended_at=None,
        edit=1,
    )
    claim(session, organisation, _taken())
    record(
        session,
        "organisation:registered",
        organisation.id,
        organisations=(organisation.id,),
        credit_code=wish.credit_code,
        organisation_kind=wish.kind.value,
    )
    return organisation


def amend_organisation(
    session: Session, organisation_id: str, changes: Mapping[str, Any], if_match: str | None
) -> Organisation:
    """Change the named fields; what a reviewer has vouched for stays (`NameVerified`)."""
    organisation = access_managed_organisation(session, organisation_id)
    check_if_match(if_match, organisation.edit)
    changed = {
        name: value for name, value in changes.items() if getattr(organisation, name) != value
    }
    if not changed:
        return organisation
    if VERIFIED_FIELDS & set(changed) and _is_vouched_for(session, organisation):
        raise NameVerified(
            "Name and credit code are verified, or about to be: they cannot change now.",
            verification_state=organisation.verification_state.value,
        )
    if "credit_code" in changed:
        _check_credit_code(changed["credit_code"])
    for name, value in changed.items():
        setattr(organisation, name, value)
    organisation.edit += 1
    claim(session, organisation, _taken())
    record(
        session,
        "organisation:amended",
        organisation.id,
        organisations=(organisation.id,),
        fields=sorted(changed),
    )
    return organisation


def suspend_organisation(session: Session, organisation_id: str, reason: str) -> Organisation:
    """Stop the organisation: its tokens hold no longer and it gets no others. Repeat is safe."""
    organisation = load_organisation(session, organisation_id, lock=True)
    if organisation.is_operator:
        raise NotAllowed("The operator cannot suspend itself.")
    if organisation.suspended_at is None:
        organisation.suspended_at = now(session)
        organisation.edit += 1
        _record(session, "organisation:suspended", organisation, reason)
    return organisation


def resume_organisation(session: Session, organisation_id: str, reason: str) -> Organisation:
    """Let a suspended organisation act again. Repeat is safe."""
    organisation = load_organisation(session, organisation_id, lock=True)
    if organisation.suspended_at is not None:
        organisation.suspended_at = None
        organisation.edit += 1
        _record(session, "organisation:resumed", organisation, reason)
    return organisation


def _is_vouched_for(session: Session, organisation: Organisation) -> bool:
    """Whether a reviewer vouches for the name, or is about to: a renewal outlives its lapse."""
    held = organisation.verification_state is VerificationState.VERIFIED
    return held or open_verification(session, organisation.id) is not None


def _record(session: Session, kind: str, organisation: Organisation, reason: str) -> None:
    record(session, kind, organisation.id, organisations=(organisation.id,), reason=reason)


def _check_credit_code(credit_code: str) -> None:
    if not is_credit_code(credit_code):
        raise CreditCodeInvalid(
            "This is no unified social credit code: 18 characters in capitals, the last a check.",
            path=".credit_code",
        )


def _taken() -> CreditCodeTaken:
    return CreditCodeTaken("There is an organisation with this credit code.")
