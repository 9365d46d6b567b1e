"""A small market for these tests: verified parties with keys, and a listing on sale, as rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import Session

from app.accounts.models import Organisation
from app.accounts.models import SigningKey as KeyRow
from app.accounts.states import OrganisationKind, VerificationState
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from app.kernel.jwk import SigningKey, new_key
from app.kernel.jws import TERMS_TYPE, sign_detached
from app.listings.codes import Delivery
from app.listings.licences import licence_from_terms
from app.listings.models import DataFile, Listing, ListingVersion, PlanRow, UpstreamApi
from app.listings.odrl import odrl_of
from app.listings.plans import plan_document, plan_from_document
from app.listings.states import ListingState
from app.listings.upstreams import AuthKind
from tests.conftest import Api, Caller
from tests.listings.examples import complete_metadata, licence_terms, per_unit_plan

SCOPES = ("contracts:read", "contracts:write", "contracts:sign")
API = "/api/v1"
UPSTREAM_URL = "https://api.provider.example/v1"
CREDIT_CODES = {
    "智谷数据有限公司": "91500108MA5U000001",
    "买方科技有限公司": "91500108MA5U000002",
    "第三方有限公司": "91500108MA5U000003",
}


@dataclass
class Trader:
    """An organisation that acts: its caller over HTTP and its registered key."""

    id: str
    caller: Caller
    key: SigningKey
    key_id: str


@dataclass
class Goods:
    """What is on sale."""

    listing_id: str
    version_id: str
    plan_id: str


@dataclass
class Market:
    """Two traders, a stranger, and what the provider sells."""

    installation: Installation
    api: Api
    provider: Trader = field(init=False)
    buyer: Trader = field(init=False)
    stranger: Trader = field(init=False)
    goods: Goods = field(init=False)

    def __post_init__(self) -> None:
        self.provider, self.buyer, self.stranger = (self.trader(name) for name in CREDIT_CODES)
        self.goods = self.list_goods()

    def trader(self, name: str) -> Trader:
        key = new_key()
        with self.installation.transaction(OPERATOR) as session:
            organisation_id = _add_organisation(session, name)
            key_id = _add_key(session, organisation_id, key)
        caller = self.api.as_client(organisation_id, *SCOPES)
        return Trader(organisation_id, caller, key, key_id)

    def list_goods(
        self,
        *,
        delivery: Delivery = Delivery.HOSTED,
        plan: dict[str, Any] | None = None,
        modes: tuple[str, ...] = (),
        **licence: Any,
    ) -> Goods:
        with self.installation.transaction(OPERATOR) as session:
            return _add_goods(
                session,
                self.provider.id,
                delivery,
                plan or per_unit_plan(),
                licence_terms(**licence),
                list(modes) or [delivery.value],
            )

    def add_plan(self, **changes: Any) -> str:
        """Another plan of the goods; its id."""
        with self.installation.transaction(OPERATOR) as session:
            return _add_plan(session, self.goods.listing_id, per_unit_plan(**changes))

    def wish(self, goods: Goods | None = None, **changes: Any) -> dict[str, Any]:
        goods = goods or self.goods
        return {
            "listing_id": goods.listing_id,
            "plan_id": goods.plan_id,
            "purpose": "RESEARCH",
            "channel": "hosted",
            "starts_on": "2026-11-02",
            "ends_on": "2027-11-01",
            **changes,
        }

    def request(self, goods: Goods | None = None, **changes: Any) -> str:
        answer = self.buyer.caller.post(f"{API}/negotiations", json=self.wish(goods, **changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def signature(self, trader: Trader, negotiation_id: str, **options: Any) -> str:
        terms = trader.caller.get(f"{API}/negotiations/{negotiation_id}/terms")
        assert terms.status_code == 200, terms.text
        typ = options.get("typ", TERMS_TYPE)
        key = options.get("key", trader.key)
        return sign_detached(key, terms.content, typ=typ, at=self.installation.clock.now())

    def step(self, trader: Trader, negotiation_id: str, verb: str, body: Any = None) -> Any:
        return trader.caller.post(f"{API}/negotiations/{negotiation_id}/{verb}", json=body or {})

    def sign(self, trader: Trader, negotiation_id: str, verb: str) -> Any:
        signature = self.signature(trader, negotiation_id)
        answer = self.step(trader, negotiation_id, verb, {"signature": signature})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def contract(self, goods: Goods | None = None, **changes: Any) -> dict[str, Any]:
        """A contract that both have signed, as the buyer sees it."""
        negotiation_id = self.request(goods, **changes)
        self.sign(self.provider, negotiation_id, "agree")
        final = self.sign(self.buyer, negotiation_id, "verify")
        shown = self.buyer.caller.get(f"{API}/contracts/{final['contract_id']}")
        assert shown.status_code == 200, shown.text
        return dict(shown.json())

    def contract_step(self, trader: Trader, contract_id: str, verb: str, body: Any = None) -> Any:
        options = {} if body is None else {"json": body}
        return trader.caller.post(f"{API}/contracts/{contract_id}/{verb}", **options)


def _add_organisation(session: Session, name: str) -> str:
    organisation = Organisation(
        id=new_id("org"),
        name=name,
        credit_code=CREDIT_CODES[name],
        kind=OrganisationKind.ENTERPRISE,
        contact={},
        verification_state=VerificationState.VERIFIED,
        verified_until=now(session) + timedelta(days=3650),
        created_at=now(session),
        edit=1,
    )
    session.add(organisation)
    session.flush()
    return organisation.id


def _add_key(session: Session, organisation_id: str, key: SigningKey) -> str:
    row = KeyRow(
        id=new_id("key"),
        organisation_id=organisation_id,
        thumbprint=key.kid,
        jwk=key.public.jwk,
        registered_at=now(session),
        registered_by="test",
    )
    session.add(row)
    session.flush()
    return row.id


def _add_goods(
    session: Session,
    provider_id: str,
    delivery: Delivery,
    plan: dict[str, Any],
    licence: dict[str, Any],
    modes: list[str],
) -> Goods:
    listing_id, version_id = new_id("lst"), new_id("ver")
    policy = odrl_of(licence_from_terms(licence), listing_id, provider_id)
    metadata = complete_metadata(delivery_modes=modes)
    session.add(
        Listing(
            id=listing_id,
            slug=f"goods-{listing_id[-6:]}",
            product_id=listing_id[-20:],
            provider_id=provider_id,
            delivery=delivery,
            state=ListingState.LISTED,
            version_id=version_id,
            stated=metadata,
            licence=policy,
            edit=1,
            created_at=now(session),
            moved_at=now(session),
        )
    )
    session.flush()
    file_id = None
    if delivery is Delivery.UPSTREAM:
        _add_upstream(session, listing_id)
    else:
        file_id = _add_file(session, listing_id)
    session.add(
        ListingVersion(
            id=version_id,
            listing_id=listing_id,
            number=1,
            delivery=delivery,
            document=metadata,
            licence=policy,
            file_id=file_id,
            upstream={"base_url": UPSTREAM_URL, "methods": ["GET", "POST"]}
            if delivery is Delivery.UPSTREAM
            else None,
            content_hash="ab" * 32,
            submitted_at=now(session),
            submitted_by="test",
            listed_at=now(session),
        )
    )
    session.flush()
    return Goods(listing_id, version_id, _add_plan(session, listing_id, plan))


def _add_upstream(session: Session, listing_id: str) -> None:
    session.add(
        UpstreamApi(
            listing_id=listing_id,
            base_url=UPSTREAM_URL,
            methods=["GET"],
            auth_kind=AuthKind.HEADER,
            auth_name="X-Api-Key",
            sealed="v1.test.a.b",
            timeout_s=10,
            body_max_bytes=1_000_000,
            set_at=now(session),
        )
    )


def _add_file(session: Session, listing_id: str) -> str:
    file = DataFile(
        id=new_id("fil"),
        listing_id=listing_id,
        name="gdp.csv",
        source_format="csv",
        rows=13_978,
        size_bytes=500_000,
        sha256="cd" * 32,
        parquet_sha256="ef" * 32,
        parquet_size_bytes=100_000,
        path="ef/gdp.parquet",
        columns=[{"name": "Country Name", "type": "VARCHAR"}, {"name": "Value", "type": "DOUBLE"}],
        sample=[],
        uploaded_at=now(session),
    )
    session.add(file)
    session.flush()
    return file.id


def _add_plan(session: Session, listing_id: str, document: dict[str, Any]) -> str:
    plan = plan_from_document({"currency": "CNY", **document})
    row = PlanRow(
        id=new_id("pln"),
        listing_id=listing_id,
        name=plan.name,
        number=1,
        currency=plan.currency,
        document=plan_document(plan),
        headline_micro=12_500,
        created_at=now(session),
    )
    session.add(row)
    session.flush()
    return row.id
