"""Onboarding: a provider gets a connected account, sets it up at the processor, and can be paid."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from app.accounts.queries import load_organisation
from app.audit.recording import record
from app.billing.payments.processor import AccountStanding
from app.billing.payments.stripe_processor import processor_of
from app.billing.payouts.holding import SEND, sendable_payouts
from app.billing.payouts.models import PayoutAccount
from app.billing.queries import access_payout_account
from app.db.engine import is_sqlite
from app.db.installation import Installation, installation_of
from app.db.locks import get_or_refuse
from app.db.session import now
from app.jobs.queue import enqueue
from app.kernel.actor import job_actor
from app.kernel.ids import OrganisationId

OPEN = "payout_account.open"
ACTOR = job_actor(OPEN)


def request_account(session: Session, organisation_id: str) -> PayoutAccount:
    """Ask for the organisation's connected account, or for a new link to set it up.

    Refuses with `ProcessorNotConfigured` when there is no processor.
    """
    access_payout_account(session, organisation_id)
    load_organisation(session, organisation_id)
    processor_of(installation_of(session).settings)
    account = _locked_account(session, organisation_id)
    account.links += 1
    account.url = None
    account.url_expires_at = None
    session.flush()
    record(
        session,
        "payout_account:requested",
        organisation_id,
        organisations=(organisation_id,),
        link=account.links,
    )
    enqueue(
        session,
        OPEN,
        dedupe_key=f"{OPEN}:{organisation_id}:{account.links}",
        organisation_id=organisation_id,
        link=account.links,
    )
    return account


def payout_account(session: Session, organisation_id: str) -> PayoutAccount:
    """The organisation's payout account; `RowNotFound` when it has none, or is not the actor's."""
    access_payout_account(session, organisation_id)
    return get_or_refuse(session, PayoutAccount, organisation_id)


def open_account(installation: Installation, organisation_id: str, link: int) -> None:
    """Make the account at the processor when there is none, and a link to set it up."""
    processor = processor_of(installation.settings)
    with installation.transaction(ACTOR, writes=False) as session:
        row = get_or_refuse(session, PayoutAccount, organisation_id)
    account = row.account or processor.create_account(OrganisationId(organisation_id))
    standing = processor.look_up_account(account)
    _note(installation, organisation_id, standing)
    base = installation.settings.public_url.rstrip("/")
    made = processor.link_account(
        account, f"{base}/checkout/link-expired", f"{base}/checkout/onboarded"
    )
    with installation.transaction(ACTOR) as session:
        row = get_or_refuse(session, PayoutAccount, organisation_id, lock=True)
        if row.links == link:
            row.url = made.url
            row.url_expires_at = made.expires_at


def refresh_account(installation: Installation, account: str) -> bool:
    """Look up how a connected account stands; False when it is none of ours."""
    with installation.transaction(ACTOR, writes=False) as session:
        organisation_id = session.exec(
            select(PayoutAccount.organisation_id).where(PayoutAccount.account == account)
        ).one_or_none()
    if organisation_id is None:
        return False
    _note(
        installation, organisation_id, processor_of(installation.settings).look_up_account(account)
    )
    return True


def _locked_account(session: Session, organisation_id: str) -> PayoutAccount:
    """The row, made when there is none: two first requests at a time make one."""
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    session.execute(
        insert(PayoutAccount)
        .values(
            organisation_id=organisation_id,
            may_receive=False,
            pays_out=False,
            details_submitted=False,
            links=0,
            requested_at=now(session),
        )
        .on_conflict_do_nothing()
    )
    return get_or_refuse(session, PayoutAccount, organisation_id, lock=True)


def _note(installation: Installation, organisation_id: str, standing: AccountStanding) -> None:
    with installation.transaction(ACTOR) as session:
        row = get_or_refuse(session, PayoutAccount, organisation_id, lock=True)
        seen = (row.account, row.may_receive, row.pays_out, row.details_submitted)
        row.account = standing.account
        row.may_receive = standing.may_receive
        row.pays_out = standing.pays_out
        row.details_submitted = standing.details_submitted
        row.checked_at = now(session)
        if (row.account, row.may_receive, row.pays_out, row.details_submitted) == seen:
            return
        record(
            session,
            "payout_account:changed",
            organisation_id,
            organisations=(organisation_id,),
            account=standing.account,
            may_receive=standing.may_receive,
            pays_out=standing.pays_out,
            details_submitted=standing.details_submitted,
        )
        if standing.may_receive:
            _send_what_waits(session, organisation_id)


def _send_what_waits(session: Session, organisation_id: str) -> None:
    """Ask for the payouts that waited for this account."""
    session.flush()
    for payout_id in sendable_payouts(session, organisation_id):
        enqueue(session, SEND, dedupe_key=f"{SEND}:{payout_id}:ready", payout_id=payout_id)
