"""Unit grants over HTTP: what was granted on a contract, and what calls have burned of it."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlmodel import Session, col

from app.contracts.models import UnitGrant
from app.contracts.queries import access_contract, units_of_contract
from app.contracts.schemas import UnitGrantView, unit_grant_view
from app.db.installation import Installation
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page
from app.metering.units.unit_grants import burned_units


@get(
    "/api/v1/contracts/{contract_id:str}/unit-grants",
    sync_to_thread=True,
    guards=[needs("contracts:read")],
    tags=["Contracts"],
)
def list_unit_grants(
    contract_id: FromPath[str],
    session: NamedDependency[Session],
    installation: NamedDependency[Installation],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[UnitGrantView]:
    """Units granted beside the quotas and what is left of them, for both sides; newest first."""
    access_contract(session, contract_id)
    statement = units_of_contract(contract_id)
    page = page_of(
        session, statement, col(UnitGrant.id), lambda row: row, limit=limit, cursor=cursor
    )
    with installation.usage_transaction(writes=False) as connection:
        burned = burned_units(connection, [row.id for row in page.items])
    items = [unit_grant_view(row, burned.get(row.id, 0)) for row in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


ROUTERS = (list_unit_grants,)
