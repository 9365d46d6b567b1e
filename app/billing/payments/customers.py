"""Customers: buyers as the processor knows them."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from app.billing.payments.models import ProcessorCustomer
from app.billing.payments.processor import Processor
from app.db.engine import is_sqlite
from app.db.installation import Installation
from app.kernel.actor import job_actor
from app.kernel.ids import OrganisationId

ACTOR = job_actor("processor.customer")


def customer_of(
    installation: Installation, processor: Processor, organisation_id: str, name: str
) -> str:
    """The buyer's id at the processor, made there when it has none; outside any transaction."""
    with installation.transaction(ACTOR, writes=False) as session:
        known = session.get(ProcessorCustomer, organisation_id)
    if known is not None:
        return known.customer
    customer = processor.create_customer(OrganisationId(organisation_id), name)
    with installation.transaction(ACTOR) as session:
        insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
        session.execute(
            insert(ProcessorCustomer)
            .values(organisation_id=organisation_id, customer=customer)
            .on_conflict_do_nothing()
        )
        return session.get_one(ProcessorCustomer, organisation_id).customer
