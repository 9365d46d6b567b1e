"""Negotiations and contracts over HTTP."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlmodel import Session, col

from app.contracts.ending import end_contract
from app.contracts.errors import ListingNotOpen
from app.contracts.granting_units import UnitWish, give_units
from app.contracts.models import Contract, Negotiation
from app.contracts.negotiating import (
    Wish,
    accept_terms,
    counter_terms,
    offer_terms,
    request_contract,
    terminate_negotiation,
)
from app.contracts.queries import (
    access_contract,
    access_negotiation,
    current_terms,
    terms_numbered,
    visible_contracts,
    visible_negotiations,
)
from app.contracts.schemas import (
    ContractView,
    NegotiationView,
    NewNegotiation,
    NewUnits,
    ReasonBody,
    SigningBody,
    TerminationBody,
    TermsChange,
    UnitGrantView,
    unit_grant_view,
)
from app.contracts.signing import OfferedSignature, agree_terms, verify_terms
from app.contracts.states import ContractState, NegotiationState, UnitKind
from app.contracts.suspending import resume_contract, suspend_contract
from app.contracts.viewing import (
    show_contract,
    show_contracts,
    show_negotiation,
    show_negotiations,
)
from app.http.describing import JSON
from app.http.documented import Documented, Sample
from app.http.examples import WORDS
from app.http.guarding import needs
from app.http.paging import DEFAULT_LIMIT, page_of
from app.http.schemas import Page
from app.kernel.refusals import RowNotFound

TAGS = ["Contracts"]
NEGOTIATION = "/api/v1/negotiations/{negotiation_id:str}"
CONTRACT = "/api/v1/contracts/{contract_id:str}"
READ, WRITE, SIGN = needs("contracts:read"), needs("contracts:write"), needs("contracts:sign")


@post(
    "/api/v1/negotiations",
    sync_to_thread=True,
    guards=[WRITE],
    tags=TAGS,
    opt={"documented": Documented(refuses=(RowNotFound, ListingNotOpen))},
)
def open_negotiation(
    data: JSONBody[NewNegotiation], session: NamedDependency[Session]
) -> NegotiationView:
    """Ask for a contract, as the buyer: the provider offers other terms, signs, or declines."""
    if data.application_id is not None:
        raise RowNotFound("There is no such application.")
    wish = Wish(
        data.listing_id,
        data.plan_id,
        data.purpose.value,
        data.channel.value,
        data.starts_on,
        data.ends_on,
    )
    return show_negotiation(session, request_contract(session, wish))


@get("/api/v1/negotiations", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_negotiations(
    session: NamedDependency[Session],
    wanted: Annotated[NegotiationState | None, QueryParameter(name="state")] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[NegotiationView]:
    """Your negotiations, on either side, the newest first."""
    statement = visible_negotiations(session)
    if wanted is not None:
        statement = statement.where(Negotiation.state == wanted)
    page = page_of(
        session, statement, col(Negotiation.id), lambda row: row, limit=limit, cursor=cursor
    )
    return Page(items=show_negotiations(session, page.items), next_cursor=page.next_cursor)


@get(NEGOTIATION, sync_to_thread=True, guards=[READ], tags=TAGS)
def get_negotiation(
    negotiation_id: FromPath[str], session: NamedDependency[Session]
) -> NegotiationView:
    """A negotiation and the points of its newest terms."""
    return show_negotiation(session, access_negotiation(session, negotiation_id))


TERMS = Documented(
    gives={
        JSON: Sample(
            {name: WORDS[name] for name in ("negotiation_id", "purpose", "starts_on", "ends_on")},
            dict[str, Any],
        )
    },
    answer="The terms' canonical JSON.",
    headers={
        "Repr-Digest": "`sha-256=:…:` over the bytes (RFC 9530).",
        "ETag": "The SHA-256 of the bytes, in hex.",
    },
)


@get(
    f"{NEGOTIATION}/terms",
    sync_to_thread=True,
    guards=[READ],
    tags=TAGS,
    opt={"documented": TERMS},
)
def get_terms(
    negotiation_id: FromPath[str],
    session: NamedDependency[Session],
    number: Annotated[int | None, QueryParameter(ge=1, le=1_000_000)] = None,
) -> Response[bytes]:
    """The canonical bytes of the newest terms, or of an earlier version: what a party signs."""
    negotiation = access_negotiation(session, negotiation_id)
    if number is None:
        terms = current_terms(session, negotiation)
    else:
        terms = terms_numbered(session, negotiation, number)
    digest = base64.b64encode(bytes.fromhex(terms.sha256)).decode()
    return Response(
        terms.canonical,
        media_type="application/json",
        headers={
            "Repr-Digest": f"sha-256=:{digest}:",
            "ETag": f'"{terms.sha256}"',
            "Cache-Control": "no-store, no-transform",
        },
    )


@post(f"{NEGOTIATION}/offer", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def offer(
    negotiation_id: FromPath[str],
    data: JSONBody[TermsChange],
    session: NamedDependency[Session],
) -> NegotiationView:
    """Answer a request with terms of your own, as the provider."""
    return show_negotiation(session, offer_terms(session, negotiation_id, data.changes()))


@post(f"{NEGOTIATION}/counter", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def counter(
    negotiation_id: FromPath[str],
    data: JSONBody[TermsChange],
    session: NamedDependency[Session],
) -> NegotiationView:
    """Answer an offer with another request, as the buyer."""
    return show_negotiation(session, counter_terms(session, negotiation_id, data.changes()))


@post(f"{NEGOTIATION}/accept", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def accept(negotiation_id: FromPath[str], session: NamedDependency[Session]) -> NegotiationView:
    """Accept the provider's offer as it is; the provider signs next."""
    return show_negotiation(session, accept_terms(session, negotiation_id))


@post(f"{NEGOTIATION}/agree", status_code=200, sync_to_thread=True, guards=[SIGN], tags=TAGS)
def agree(
    negotiation_id: FromPath[str],
    data: JSONBody[SigningBody],
    session: NamedDependency[Session],
) -> NegotiationView:
    """Sign the newest terms, as the provider."""
    offered = OfferedSignature(data.signature, data.custodial)
    return show_negotiation(session, agree_terms(session, negotiation_id, offered))


@post(f"{NEGOTIATION}/verify", status_code=200, sync_to_thread=True, guards=[SIGN], tags=TAGS)
def verify(
    negotiation_id: FromPath[str],
    data: JSONBody[SigningBody],
    session: NamedDependency[Session],
) -> NegotiationView:
    """Sign the terms that the provider has signed, as the buyer: the contract is made."""
    offered = OfferedSignature(data.signature, data.custodial)
    return show_negotiation(session, verify_terms(session, negotiation_id, offered))


@post(f"{NEGOTIATION}/terminate", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def terminate(
    negotiation_id: FromPath[str],
    data: JSONBody[TerminationBody],
    session: NamedDependency[Session],
) -> NegotiationView:
    """Walk away from a negotiation."""
    return show_negotiation(session, terminate_negotiation(session, negotiation_id, data.reason))


@get("/api/v1/contracts", sync_to_thread=True, guards=[READ], tags=TAGS)
def list_contracts(
    session: NamedDependency[Session],
    wanted: Annotated[ContractState | None, QueryParameter(name="state")] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[ContractView]:
    """Your contracts, on either side, the newest first."""
    statement = visible_contracts(session)
    if wanted is not None:
        statement = statement.where(Contract.state == wanted)
    page = page_of(
        session, statement, col(Contract.id), lambda row: row, limit=limit, cursor=cursor
    )
    return Page(items=show_contracts(session, page.items), next_cursor=page.next_cursor)


@get(CONTRACT, sync_to_thread=True, guards=[READ], tags=TAGS)
def get_contract(contract_id: FromPath[str], session: NamedDependency[Session]) -> ContractView:
    """A contract with its signatures, grant and holds."""
    return show_contract(session, access_contract(session, contract_id))


@post(f"{CONTRACT}/suspend", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def suspend(
    contract_id: FromPath[str],
    session: NamedDependency[Session],
    data: JSONBody[ReasonBody | None] = None,
) -> ContractView:
    """Suspend a contract: calls stop within a second, and only your side lifts it again."""
    return show_contract(session, suspend_contract(session, contract_id, _reason(data)))


@post(f"{CONTRACT}/resume", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def resume(contract_id: FromPath[str], session: NamedDependency[Session]) -> ContractView:
    """Lift your side's suspension; calls go on when nobody else holds the contract."""
    return show_contract(session, resume_contract(session, contract_id))


@post(f"{CONTRACT}/end", status_code=200, sync_to_thread=True, guards=[WRITE], tags=TAGS)
def end(
    contract_id: FromPath[str],
    session: NamedDependency[Session],
    data: JSONBody[ReasonBody | None] = None,
) -> ContractView:
    """End a contract before its last day; its final invoice is drawn at once."""
    return show_contract(session, end_contract(session, contract_id, _reason(data)))


@post(f"{CONTRACT}/unit-grants", sync_to_thread=True, guards=[WRITE], tags=TAGS)
def grant_units(
    contract_id: FromPath[str], data: JSONBody[NewUnits], session: NamedDependency[Session]
) -> UnitGrantView:
    """Grant units beside the quotas, as the provider; goodwill, as an admin of the alliance too.

    Calls burn them within seconds; nothing takes them back.
    """
    wish = UnitWish(
        UnitKind(data.kind), data.units, data.priority, data.first_on, data.last_on, data.reason
    )
    return unit_grant_view(give_units(session, contract_id, wish))


def _reason(data: ReasonBody | None) -> str | None:
    return None if data is None else data.reason


ROUTERS = (
    open_negotiation,
    list_negotiations,
    get_negotiation,
    get_terms,
    offer,
    counter,
    accept,
    agree,
    verify,
    terminate,
    list_contracts,
    get_contract,
    suspend,
    resume,
    end,
    grant_units,
)
