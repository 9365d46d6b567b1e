"""Granting: from signed terms to the right to call, told to metering as one compiled document.

The grant is compiled from the bytes that both signed. Only where the data lie is read elsewhere:
file or address of the frozen version, and the upstream's present sealed credential and limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from app.audit.recording import record
from app.contracts.bounds import licence_of, moments_under
from app.contracts.models import Contract, DataGrant
from app.contracts.queries import signed_terms
from app.contracts.sources import file_source, upstream_source
from app.contracts.states import LIVING, ContractState
from app.contracts.terms import agreed_plan
from app.db.locks import get_or_refuse
from app.jobs.queue import enqueue
from app.kernel.clock import epoch_us
from app.kernel.ids import new_id
from app.listings.licences import EnforcedTerms, enforceable
from app.listings.plans import Overage, Plan, WindowKind
from app.listings.spending import spend_units

AT_ONCE = 100

APPLY = "grant.apply"
REFRESH = "grant.refresh"
"""The same in the slow lane: what cuts access must not wait behind a whole listing's grants."""


def open_grant(session: Session, contract: Contract) -> DataGrant:
    """The grant of a contract that has just been signed."""
    grant = DataGrant(
        id=new_id("grt"),
        contract_id=contract.id,
        listing_id=contract.listing_id,
        buyer_id=contract.buyer_id,
        epoch=1,
        live=True,
    )
    session.add(grant)
    session.flush()
    _tell(session, contract, grant)
    return grant


def change_grant(session: Session, contract: Contract, job: str = APPLY) -> DataGrant:
    """Bring the grant in line with its contract's state: a new epoch, which metering must learn.

    `job` says how soon: `APPLY` at once, `REFRESH` when there is time.
    """
    grant = session.exec(
        select(DataGrant)
        .where(DataGrant.contract_id == contract.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    active = contract.state is ContractState.ACTIVE
    grant.epoch += 1
    grant.live = active
    grant.reason = None if active else contract.state
    session.flush()
    _tell(session, contract, grant, job)
    return grant


def refresh_grants(session: Session, listing_id: str, after: str) -> str | None:
    """Tell metering anew of living grants on a listing, those of `AT_ONCE` contracts after the one
    named; the last of them, or None when there were none.
    """
    contracts = session.exec(
        select(Contract)
        .where(
            Contract.listing_id == listing_id,
            col(Contract.state).in_(LIVING),
            col(Contract.id) > after,
        )
        .order_by(col(Contract.id))
        .limit(AT_ONCE)
        .with_for_update()
    ).all()
    for contract in contracts:
        change_grant(session, contract, REFRESH)
    return contracts[-1].id if contracts else None


def compiled_grant(session: Session, grant_id: str) -> dict[str, Any]:
    """What metering needs to know of a grant, as plain JSON values."""
    grant = get_or_refuse(session, DataGrant, grant_id)
    contract = session.get_one(Contract, grant.contract_id)
    terms = signed_terms(session, contract)
    document = terms.document
    starts_at, ends_at = moments_under(document)
    return {
        "grant_id": grant.id,
        "contract_id": contract.id,
        "buyer_id": contract.buyer_id,
        "provider_id": contract.provider_id,
        "terms_sha256": terms.sha256,
        "epoch": grant.epoch,
        "live": grant.live,
        "reason": None if grant.reason is None else grant.reason.value,
        "starts_at_us": epoch_us(starts_at),
        "ends_at_us": epoch_us(ends_at),
        **compiled_terms(document),
        "file": file_source(session, contract.version_id),
        "upstream": upstream_source(session, contract.version_id),
    }


def compiled_terms(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a compiled grant that stands in the signed terms. Pure."""
    agreed = agreed_plan(document)
    plan = agreed.plan
    licence = enforceable(licence_of(document))
    statuses = plan.billable_statuses
    return {
        "listing_id": document["listing"]["id"],
        "slug": document["listing"]["slug"],
        "version_id": document["listing"]["version_id"],
        "plan_id": agreed.id,
        "delivery": document["listing"]["delivery"],
        "purpose": document["purpose"],
        "purposes_allowed": list(licence.purposes),
        "channels_allowed": [name for name in (document["channel"],) if name in licence.channels],
        "columns": None if licence.columns is None else list(licence.columns),
        "row_filter": licence.rows,
        "meter": plan.meter.value,
        "billable_statuses": None if statuses is None else list(statuses),
        "windows": _windows(plan, licence),
        "rate": None
        if plan.rate is None
        else {"per_second": plan.rate.per_second, "burst": plan.rate.burst},
    }


def apply_key(grant: DataGrant) -> str:
    """The key of the job that brings this epoch of a grant into force."""
    return f"grant.apply:{grant.id}:{grant.epoch}"


def _windows(plan: Plan, licence: EnforcedTerms) -> list[dict[str, Any]]:
    windows = []
    for place, quota in enumerate(plan.quotas):
        windows.append(_window(f"quota-{place}", quota.window, quota.limit_units, quota.overage))
        if quota.spend_cap is None:
            continue
        if (units := spend_units(plan, quota.spend_cap.money)) is not None:
            windows.append(_window(f"spend-cap-{place}", quota.window, units))
    if licence.count is not None:
        windows.append(_window("licence-count", WindowKind.CONTRACT, licence.count))
    return windows


def _window(
    name: str, window: WindowKind, limit_units: int | None, overage: Overage = Overage.BLOCK
) -> dict[str, Any]:
    return {
        "name": name,
        "window": window.value,
        "limit_units": limit_units,
        "overage": overage.value,
    }


def _tell(session: Session, contract: Contract, grant: DataGrant, job: str = APPLY) -> None:
    """A leaf and a job for each epoch, in the transaction that made it."""
    record(
        session,
        "grant:opened" if grant.epoch == 1 else "grant:changed",
        grant.id,
        organisations=(contract.buyer_id, contract.provider_id),
        contract_id=contract.id,
        epoch=grant.epoch,
        live=grant.live,
        reason=None if grant.reason is None else grant.reason.value,
    )
    enqueue(session, job, dedupe_key=apply_key(grant), grant_id=grant.id)
