"""A shop for these tests: a verified provider, a reviewer, a rival, and steps over HTTP."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from httpx import Response
from sqlmodel import Session, col, select

from app.accounts.models import Organisation
from app.accounts.states import OrganisationKind, VerificationState
from app.audit.models import Leaf
from app.db.installation import Installation
from app.db.session import now
from app.kernel.actor import OPERATOR
from app.kernel.ids import new_id
from tests.conftest import Api, Caller
from tests.listings.examples import complete_metadata, licence_terms, per_unit_plan

API = "/api/v1/listings"
SCOPES = ("listings:read", "listings:write")
TABLE = "国家,year,value\n中国,2020,14.7\n日本,2020,5.0\n".encode()
CODES = iter(f"91500108MA5U{number:06d}" for number in range(1, 1_000_000))


@dataclass
class Shop:
    """Who acts, and what they do most."""

    installation: Installation
    api: Api
    provider_id: str = field(init=False)
    rival_id: str = field(init=False)
    operator_id: str = field(init=False)

    def __post_init__(self) -> None:
        with self.installation.transaction(OPERATOR) as session:
            self.provider_id = add_organisation(session, "智谷数据有限公司")
            self.rival_id = add_organisation(session, "对手数据有限公司")
            self.operator_id = add_organisation(session, "联盟运营有限公司")
        self.provider = self.api.as_client(self.provider_id, *SCOPES)
        self.rival = self.api.as_client(self.rival_id, *SCOPES)
        self.reviewer = self.api.as_client(self.operator_id, *SCOPES, roles=["reviewer"])
        self.auditor = self.api.as_client(self.operator_id, *SCOPES, roles=["auditor"])
        self.anonymous = self.api.anonymous()

    def draft(self, slug: str = "world-gdp", delivery: str = "hosted", **metadata: Any) -> str:
        """A draft with complete metadata, but without data, licence or plan; its id."""
        body = {"slug": slug, "delivery": delivery, "metadata": complete_metadata(**metadata)}
        answer = self.provider.post(API, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def filled(self, slug: str = "world-gdp", **metadata: Any) -> str:
        """A draft that passes every gate."""
        listing_id = self.draft(slug, **metadata)
        good(self.upload(listing_id))
        good(self.provider.put(f"{API}/{listing_id}/licence", json=licence_terms()))
        good(self.provider.post(f"{API}/{listing_id}/plans", json=per_unit_plan()))
        return listing_id

    def listed(self, slug: str = "world-gdp", **metadata: Any) -> str:
        """A listing on sale."""
        listing_id = self.filled(slug, **metadata)
        self.approve(listing_id)
        return listing_id

    def approve(self, listing_id: str) -> None:
        good(self.step(self.provider, listing_id, "submit"))
        good(self.step(self.reviewer, listing_id, "review", decision="approve"))

    def upload(
        self, listing_id: str, content: bytes = TABLE, media_type: str = "text/csv"
    ) -> Response:
        return self.provider.post(
            f"{API}/{listing_id}/files", content=content, headers={"Content-Type": media_type}
        )

    def upload_form(self, listing_id: str, name: str, content: bytes, media_type: str) -> Response:
        files = {"file": (name, io.BytesIO(content), media_type)}
        return self.provider.post(f"{API}/{listing_id}/files", files=files)

    def step(self, caller: Caller, listing_id: str, verb: str, **body: Any) -> Response:
        options: dict[str, Any] = {"json": body} if body else {}
        return caller.post(f"{API}/{listing_id}/{verb}", **options)

    def see(self, listing_id: str, caller: Caller | None = None) -> Any:
        return good((caller or self.provider).get(f"{API}/{listing_id}"))

    def leaves(self, subject_id: str) -> list[str]:
        """The kinds of what was recorded about a subject, in order."""
        with self.installation.transaction(OPERATOR, writes=False) as session:
            statement = select(Leaf.kind).where(Leaf.subject_id == subject_id)
            return list(session.exec(statement.order_by(col(Leaf.id))))

    def lapse(self, organisation_id: str) -> None:
        """Let an organisation's verification lapse."""
        with self.installation.transaction(OPERATOR) as session:
            organisation = session.get_one(Organisation, organisation_id)
            organisation.verified_until = now(session)
            session.add(organisation)


def add_organisation(session: Session, name: str) -> str:
    organisation = Organisation(
        id=new_id("org"),
        name=name,
        credit_code=next(CODES),
        kind=OrganisationKind.ENTERPRISE,
        contact={},
        verification_state=VerificationState.VERIFIED,
        verified_until=now(session) + timedelta(days=365),
        created_at=now(session),
        edit=1,
    )
    session.add(organisation)
    session.flush()
    return organisation.id


def good(answer: Response) -> Any:
    """The body of an answer that must be a success."""
    assert answer.status_code < 300, answer.text
    return answer.json()


def refused(answer: Response, status: int, slug: str) -> dict[str, Any]:
    """The problem of an answer that must be this refusal."""
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:zhigu:problem:{slug}"
    return dict(problem)
