"""Questions about organisations and keys, and which of them an actor may have."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.errors import OrganisationNotVerified
from app.accounts.models import Organisation, SigningKey, Verification
from app.accounts.roles import OVERSEERS, has_role, is_admin
from app.accounts.states import VerificationState
from app.db.locks import get_or_refuse
from app.db.session import actor_of, now
from app.kernel.refusals import NotAllowed, RowNotFound


def load_organisation(
    session: Session, organisation_id: str, *, lock: bool = False
) -> Organisation:
    """The organisation with this id, whoever asks; `RowNotFound` without one."""
    return get_or_refuse(session, Organisation, organisation_id, lock=lock)


def organisation_name(session: Session, organisation_id: str) -> str:
    """The name under which the organisation is known; `RowNotFound` without one."""
    return load_organisation(session, organisation_id).name


def access_organisation(
    session: Session, organisation_id: str, *, lock: bool = False
) -> Organisation:
    """The organisation, for its own and for those who oversee the alliance; else `RowNotFound`."""
    actor = actor_of(session)
    if actor.organisation_id != organisation_id and not has_role(actor, *OVERSEERS):
        raise RowNotFound("There is no such thing, or it is not yours.")
    return load_organisation(session, organisation_id, lock=lock)


def access_managed_organisation(
    session: Session, organisation_id: str, *, lock: bool = True
) -> Organisation:
    """The organisation, for an actor that may change it: its own, or the administrator.

    The operator's own is changed by the administrator only. Whether the token is good for writing
    is the route's guard to say.
    """
    organisation = access_organisation(session, organisation_id, lock=lock)
    actor = actor_of(session)
    own = actor.organisation_id == organisation.id and not organisation.is_operator
    if not own and not is_admin(actor):
        raise NotAllowed("Only the organisation itself or the administrator may change this.")
    return organisation


def visible_organisations(session: Session) -> SelectOfScalar[Organisation]:
    """The organisations that the actor may list."""
    actor = actor_of(session)
    statement = select(Organisation)
    if has_role(actor, *OVERSEERS):
        return statement
    return statement.where(Organisation.id == actor.organisation_id)


def verification_at(organisation: Organisation, moment: datetime) -> VerificationState:
    """The state of verification at `moment`: one that has lapsed is EXPIRED, swept or not."""
    until = organisation.verified_until
    if organisation.verification_state is VerificationState.VERIFIED:
        assert until is not None
        return VerificationState.VERIFIED if moment < until else VerificationState.EXPIRED
    return organisation.verification_state


def open_verification(session: Session, organisation_id: str) -> Verification | None:
    """The organisation's request that waits for a reviewer; there is one at most."""
    return session.exec(
        select(Verification).where(
            Verification.organisation_id == organisation_id, col(Verification.decision).is_(None)
        )
    ).one_or_none()


def must_be_verified(session: Session, organisation_id: str) -> None:
    """Refuse with `OrganisationNotVerified` unless the organisation's name is verified today."""
    organisation = load_organisation(session, organisation_id)
    state = verification_at(organisation, now(session))
    if state is not VerificationState.VERIFIED:
        raise OrganisationNotVerified(
            "The organisation's real name must be verified before it trades.",
            organisation_id=organisation_id,
            verification_state=state.value,
        )


def signing_key_of(session: Session, organisation_id: str, kid: str) -> SigningKey | None:
    """The organisation's key that `kid` names: its thumbprint (RFC 7638) or its `key_…` id.

    A revoked key is found too: `revoked_at` says so. A foreign key is not.
    """
    return session.exec(
        select(SigningKey).where(
            SigningKey.organisation_id == organisation_id,
            sa.or_(col(SigningKey.thumbprint) == kid, col(SigningKey.id) == kid),
        )
    ).one_or_none()
