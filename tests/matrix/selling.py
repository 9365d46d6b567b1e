"""Selling: one sale from registration to payout, so that every kind of row exists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlmodel import select

from app.accounts.credit_codes import check_character
from app.accounts.models import Client
from app.accounts.oauth.delegating import begin_delegation
from app.accounts.oauth.models import SignInSession
from app.accounts.scopes import SCOPES
from app.billing.invoices.drawing import draw_invoices
from app.billing.invoices.models import Invoice, InvoiceLine
from app.billing.ledger.models import LedgerTransfer
from app.billing.payments.processor import PaymentStanding, PaymentState
from app.billing.payments.settling import settle_payment
from app.billing.payouts.models import Payout
from app.contracts.granting import compiled_grant
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical
from app.kernel.clock import epoch_us
from app.kernel.jwk import SigningKey, new_key
from app.kernel.jws import KEY_PROOF_TYPE, TERMS_TYPE, sign_compact, sign_detached
from app.metering.granting import apply_grant
from app.metering.grants import compiled_from
from app.metering.tally.tally import open_tally
from app.notices.telling import tell
from tests.accounts.identity_providers.attached import attach_identity_provider
from tests.billing.sales import contract_of, month_of
from tests.conftest import Api, Caller
from tests.listings.examples import complete_metadata, licence_terms, per_unit_plan
from tests.metering.calling import call_on

API = "/api/v1"
CALLS = 3
TABLE = b"country,year,value\nCN,2020,14.7\nJP,2020,5.0\n"
OVERSEERS = frozenset({"admin", "reviewer", "auditor"})
PARTIES = frozenset({"buyer", "provider", "admin", "auditor"})


@dataclass(frozen=True)
class Operators:
    """Who makes organisations and reviews them."""

    installation: Installation
    api: Api
    admin: Caller
    reviewer: Caller


@dataclass(frozen=True)
class Party:
    """An organisation that acts, and the ids of what is its own."""

    id: str
    caller: Caller
    key: SigningKey
    own: Mapping[str, str]


@dataclass
class Sale:
    """One sale. `ids` are values of path parameters by set; `private` is who may read what."""

    provider: Party
    buyer: Party
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    private: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def hide(self, what: str, text: str, readers: frozenset[str]) -> None:
        """Note that only `readers` may ever see `text`."""
        self.private[text] = (what, readers)


def make_sale(operators: Operators, number: int) -> Sale:
    """A whole sale; `number` makes its names its own."""
    provider, buyer = (make_party(operators, 2 * number + side, number) for side in (0, 1))
    sale = Sale(provider, buyer)
    domain = attach_identity_provider(operators.installation, provider.id, number)
    sale.ids["provider"] = {"organisation_id": provider.id, "domain": domain, **provider.own}
    sale.ids["listed"] = _list_goods(operators, provider, f"goods-{number}")
    sale.ids["draft"] = _draft(provider, f"draft-{number}", number)
    sale.ids["sale"] = _sign(operators, sale)
    _call(operators, sale)
    _tell_buyer(operators, sale)
    _bill(operators, sale, number)
    _hide(sale, number)
    return sale


def make_party(operators: Operators, number: int, pair: int) -> Party:
    """A verified organisation with a client, a person and a signing key."""
    body = {
        "name": f"机构{number}有限公司",
        "credit_code": _credit_code(number),
        "kind": "enterprise",
        "contact": {"name": "张三", "email": f"canary{pair}@example.cn"},
    }
    organisation_id = _good(operators.admin.post(f"{API}/organisations", json=body))["id"]
    path = f"{API}/organisations/{organisation_id}"
    client = {"name": "program", "scopes": ["contracts:read"]}
    client_id = _good(operators.admin.post(f"{path}/clients", json=client))["client_id"]
    caller = operators.api.as_client(organisation_id, *SCOPES, actor_id=client_id)
    _good(caller.post(f"{path}/verification", json={}))
    decision = {"decision": "verified"}
    _good(operators.reviewer.post(f"{path}/verification/decision", json=decision))
    member = {
        "email": f"person{number}@example.cn",
        "name": "李四",
        "role": "owner",
        "password": "correct horse battery",
    }
    person_id = _good(caller.post(f"{path}/members", json=member))["id"]
    key = new_key()
    nonce = _good(caller.post(f"{path}/keys/nonce"))["nonce"]
    proof = sign_compact(
        key,
        canonical({"organisation": organisation_id, "nonce": nonce}),
        typ=KEY_PROOF_TYPE,
        at=operators.installation.clock.now(),
    )
    registered = {"jwk": key.public.jwk, "proof": proof}
    key_id = _good(caller.post(f"{path}/keys", json=registered))["id"]
    own = {
        "client_id": client_id,
        "person_id": person_id,
        "key_id": key_id,
        "delegation_id": _delegate(operators.installation, client_id, person_id),
    }
    return Party(organisation_id, caller, key, own)


def _delegate(installation: Installation, client_id: str, person_id: str) -> str:
    """What the person, signed in somewhere, has allowed the client."""
    with installation.transaction(OPERATOR) as session:
        signed_in = SignInSession(
            amr="pwd",
            sha256="0" * 64,
            person_id=person_id,
            started_at=now(session),
            lapses_at=now(session),
        )
        client = session.get_one(Client, client_id)
        return begin_delegation(session, client, signed_in, "openid", timedelta(days=90)).id


def _list_goods(operators: Operators, provider: Party, slug: str) -> dict[str, str]:
    listing_id = _new_listing(provider, slug)
    path = f"{API}/listings/{listing_id}"
    plan_id, _ = _fill(provider, path)
    _good(provider.caller.post(f"{path}/submit"))
    _good(operators.reviewer.post(f"{path}/review", json={"decision": "approve"}))
    return {"listing_id": listing_id, "plan_id": plan_id, "slug": slug}


def _draft(provider: Party, slug: str, number: int) -> dict[str, str]:
    listing_id = _new_listing(provider, slug, abstract=f"canary-draft-{number}")
    plan_id, file_id = _fill(provider, f"{API}/listings/{listing_id}")
    return {"listing_id": listing_id, "plan_id": plan_id, "file_id": file_id, "slug": slug}


def _fill(provider: Party, path: str) -> tuple[str, str]:
    """Give a draft its table, licence and plan; the ids of plan and file."""
    upload: dict[str, Any] = {"content": TABLE, "headers": {"Content-Type": "text/csv"}}
    file_id = _good(provider.caller.post(f"{path}/files", **upload))["id"]
    _good(provider.caller.put(f"{path}/licence", json=licence_terms()))
    plan_id = _good(provider.caller.post(f"{path}/plans", json=per_unit_plan()))["id"]
    return plan_id, file_id


def _new_listing(provider: Party, slug: str, **metadata: Any) -> str:
    body = {"slug": slug, "delivery": "hosted", "metadata": complete_metadata(**metadata)}
    return str(_good(provider.caller.post(f"{API}/listings", json=body))["id"])


def _sign(operators: Operators, sale: Sale) -> dict[str, str]:
    wish = {
        "listing_id": sale.ids["listed"]["listing_id"],
        "plan_id": sale.ids["listed"]["plan_id"],
        "purpose": "RESEARCH",
        "channel": "hosted",
        "starts_on": "2026-11-02",
        "ends_on": "2027-11-01",
    }
    negotiation_id = _good(sale.buyer.caller.post(f"{API}/negotiations", json=wish))["id"]
    path = f"{API}/negotiations/{negotiation_id}"
    for party, verb in ((sale.provider, "agree"), (sale.buyer, "verify")):
        terms = party.caller.get(f"{path}/terms").content
        at = operators.installation.clock.now()
        signature = sign_detached(party.key, terms, typ=TERMS_TYPE, at=at)
        signed = _good(party.caller.post(f"{path}/{verb}", json={"signature": signature}))
    contract = _good(sale.buyer.caller.get(f"{API}/contracts/{signed['contract_id']}"))
    return {
        "negotiation_id": negotiation_id,
        "contract_id": contract["id"],
        "any_id": contract["id"],
        "grant_id": contract["grants"][0]["id"],
        "signature_id": contract["signatures"][0]["id"],
        "terms_sha256": contract["terms_sha256"],
    }


def _call(operators: Operators, sale: Sale) -> None:
    """Settle a few calls under the grant, as the gateway does."""
    installation, ids = operators.installation, sale.ids["sale"]
    at_us = epoch_us(installation.clock.now())
    with installation.transaction(OPERATOR, writes=False) as session:
        document = compiled_grant(session, ids["grant_id"])
    with installation.usage_transaction() as connection:
        apply_grant(connection, document, at_us)

    async def settle() -> list[str]:
        tally = open_tally(installation.settings.store_url("usage"))
        tally.start()
        grant = compiled_from(document)
        calls = [call_on(grant, at_us) for _ in range(CALLS)]
        settled = await asyncio.gather(*(tally.submit(call) for call in calls))
        await tally.stop()
        return [answer.event_id for answer in settled]

    ids["event_id"] = asyncio.run(settle())[0]


def _tell_buyer(operators: Operators, sale: Sale) -> None:
    """A notice to the buyer alone: the provider's own would be another."""
    ids = sale.ids["sale"]
    with operators.installation.transaction(OPERATOR) as session:
        tell(
            session,
            "usage.window_filling",
            ids["contract_id"],
            organisations=[sale.buyer.id],
            scope="usage:read",
            dedupe_key=ids["contract_id"],
        )
    ids["notice_id"] = _good(sale.buyer.caller.get(f"{API}/notices"))["items"][0]["id"]


def _bill(operators: Operators, sale: Sale, number: int) -> None:
    """An invoice over the calls, paid by the buyer, and the provider's share on hold."""
    ids = sale.ids["sale"]
    contract = replace(
        contract_of(sale.provider.id, sale.buyer.id),
        contract_id=ids["contract_id"],
        grant_id=ids["grant_id"],
        listing_id=sale.ids["listed"]["listing_id"],
        terms_sha256=ids["terms_sha256"],
    )
    with operators.installation.transaction(OPERATOR) as session:
        (invoice_id,) = draw_invoices(session, [month_of(contract, CALLS)])
        line = select(InvoiceLine.id).where(InvoiceLine.invoice_id == invoice_id)
        ids["line_id"] = session.exec(line).all()[0]
        amount = session.get_one(Invoice, invoice_id).owed
    ids["invoice_id"] = invoice_id
    paying = sale.buyer.caller.post(f"{API}/invoices/{invoice_id}/pay", json={"method": "stripe"})
    ids["payment_id"] = payment_id = _good(paying)["payment_id"]
    standing = PaymentStanding(
        payment_intent=f"pi_canary{number}",
        state=PaymentState.SUCCEEDED,
        amount=amount,
        received=amount,
        payment_id=payment_id,
        charge=f"ch_canary{number}",
        fee=None,
        balance_transaction=f"txn_canary{number}",
        failure_code=None,
        created_at=operators.installation.clock.now(),
    )
    with operators.installation.transaction(OPERATOR) as session:
        settle_payment(session, payment_id, standing)
        payout = select(Payout.id).where(Payout.payment_id == payment_id)
        ids["payout_id"] = session.exec(payout).one()
        transfer = select(LedgerTransfer.id).where(LedgerTransfer.cause == f"{payment_id}:paid")
        ids["transfer_id"] = session.exec(transfer).one()
    account = f"{API}/organisations/{sale.provider.id}/payout-account"
    _good(sale.provider.caller.post(account))


def _hide(sale: Sale, number: int) -> None:
    for side in ("provider", "buyer"):
        party: Party = getattr(sale, side)
        for name, text in party.own.items():
            # The client has signed, and a leaf says who did what to both sides.
            readers = PARTIES if name == "client_id" else {side}
            sale.hide(f"{side}'s {name}", text, OVERSEERS | readers)
    sale.hide("buyer", sale.buyer.id, OVERSEERS | PARTIES)
    for name, text in sale.ids["draft"].items():
        sale.hide(f"draft's {name}", text, OVERSEERS | {"provider"})
    sale.hide("draft's abstract", f"canary-draft-{number}", OVERSEERS | {"provider"})
    for name, text in sale.ids["sale"].items():
        sale.hide(name, text, PARTIES)
    for text in (f"pi_canary{number}", f"ch_canary{number}", f"txn_canary{number}"):
        sale.hide("processor's id", text, PARTIES)


def _credit_code(number: int) -> str:
    body = f"91500108MA5U{number:05d}"
    return body + check_character(body)


def _good(answer: Any) -> Any:
    assert answer.status_code < 300, f"{answer.request.url}: {answer.text}"
    return answer.json()
