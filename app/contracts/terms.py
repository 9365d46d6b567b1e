"""Terms: the one document that both sides sign, its canonical bytes, and who may change what in it.

Everything that later decides about access or money stands in it in full, so that a change of price,
licence or tax elsewhere never touches what was signed. Dates name the first and the last day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from app.contracts.errors import NotYourStep, TermsLapsed, TermsNotOffered
from app.contracts.states import Side
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.clock import day_after, day_start, local_day
from app.listings.plans import Plan, plan_document, plan_from_document

DOCUMENT_TYPE = "zhigu-terms"
FORMAT = 1
MAX_DAYS = 3660

VAT_RATE = "0.06"
ALLIANCE_FEE_RATE = "0.075"
SERVICE_LEVEL = "尽力提供，不承诺可用率。Best effort; no availability is promised."
LIABILITY = (
    "任一方就直接损失承担的责任，以本合约项下已付及应付价款为限；故意、重大过失以及违反许可条款的责任不受此限。"
    "Either side's liability for direct loss is limited to the price paid and payable under this"
    " contract; intent, gross negligence and breach of the licence are not limited."
)
TERMINATION = (
    "任一方可随时在平台上中止或终止本合约，即时生效；在此之前的用量照付。"
    "Either side may suspend or end this contract on the platform at any time, with effect at once;"
    " what was used until then is paid."
)


@dataclass(frozen=True, slots=True)
class Party:
    """A side of the contract, by its registered name and 统一社会信用代码."""

    id: str
    name: str
    credit_code: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is licensed: one frozen version of a listing, and the policy that came with it."""

    listing_id: str
    slug: str
    title: str
    delivery: str
    version_id: str
    version_number: int
    content_hash: str
    policy: Mapping[str, Any]
    enforced: Sequence[str]
    legal_only: Sequence[str]


@dataclass(frozen=True, slots=True)
class AgreedPlan:
    """A plan with the quotas and rate that were agreed; id and number say what it began as."""

    id: str
    number: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class Points:
    """What the two sides may still talk about."""

    plan: AgreedPlan
    purpose: str
    channel: str
    starts_on: date
    ends_on: date
    service_level: str = SERVICE_LEVEL
    liability: str = LIABILITY


_BOTH = frozenset({"plan", "quotas", "rate", "purpose", "channel", "starts_on", "ends_on"})

MAY_CHANGE: Mapping[Side, frozenset[str]] = {
    Side.BUYER: _BOTH,
    # The provider answers for how it serves and what it is liable for.
    Side.PROVIDER: _BOTH | {"service_level", "liability"},
    Side.ALLIANCE: frozenset(),
}
"""The changes that each side may propose: a point, or the quotas or rate of the plan."""


def draft_terms(
    negotiation_id: str,
    number: int,
    *,
    provider: Party,
    buyer: Party,
    subject: Subject,
    points: Points,
) -> dict[str, Any]:
    """The document; `number` makes each version's bytes its own, even with the same points."""
    return {
        "type": DOCUMENT_TYPE,
        "format": FORMAT,
        "negotiation_id": negotiation_id,
        "number": number,
        "provider": _party(provider),
        "buyer": _party(buyer),
        "listing": {
            "id": subject.listing_id,
            "slug": subject.slug,
            "title": subject.title,
            "delivery": subject.delivery,
            "version_id": subject.version_id,
            "version_number": subject.version_number,
            "content_hash": subject.content_hash,
        },
        "policy": dict(subject.policy),
        "enforced_by_gateway": list(subject.enforced),
        "legal_only": list(subject.legal_only),
        **_points(points),
        "termination": TERMINATION,
        "vat": {"rate": VAT_RATE, "prices": "exclusive"},
        "alliance_fee": {"rate": ALLIANCE_FEE_RATE, "of": "net"},
    }


def canonical_terms(document: Mapping[str, Any]) -> tuple[bytes, str]:
    """The bytes that are signed, and their SHA-256 in hex."""
    data = canonical(document)
    return data, sha256_hex(data)


def points_of(document: Mapping[str, Any]) -> Points:
    """The negotiable points of a document."""
    return Points(
        plan=agreed_plan(document),
        purpose=document["purpose"],
        channel=document["channel"],
        starts_on=date.fromisoformat(document["starts_on"]),
        ends_on=date.fromisoformat(document["ends_on"]),
        service_level=document["service_level"],
        liability=document["liability"],
    )


def agreed_plan(document: Mapping[str, Any]) -> AgreedPlan:
    """What the parties pay by, as the document freezes it."""
    part = document["plan"]
    return AgreedPlan(part["id"], part["number"], plan_from_document(part["document"]))


def changed_points(points: Points, side: Side, changes: Mapping[str, Any]) -> Points:
    """`points` as `side` changes them; refuses with `NotYourStep` what is not its to change.

    Another plan brings its own quotas and rate, unless they are changed with it.
    """
    if foreign := sorted(set(changes) - MAY_CHANGE[side]):
        raise NotYourStep(f"The {side.value} may not change {foreign[0]}.", points=foreign)
    of_plan = {name: changes[name] for name in ("quotas", "rate") if name in changes}
    others = {name: value for name, value in changes.items() if name not in of_plan}
    points = replace(points, **others)
    if not of_plan:
        return points
    plan = msgspec.structs.replace(points.plan.plan, **of_plan)
    return replace(points, plan=replace(points.plan, plan=plan))


def differences(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[str]:
    """The names of the parts in which two versions differ, apart from their number."""
    names = (set(earlier) | set(later)) - {"number"}
    return sorted(name for name in names if earlier.get(name) != later.get(name))


def moments(starts_on: date, ends_on: date) -> tuple[datetime, datetime]:
    """`[start, end)` of the days from first to last, both included, in Asia/Shanghai."""
    return day_start(starts_on), day_after(ends_on)


def check_days(starts_on: date, ends_on: date, at: datetime) -> None:
    """Refuse days that are reversed, over, too many, too far ahead, or begin before yesterday.

    Yesterday is allowed: where the buyer sits it may still be that day.
    """
    today = local_day(at)
    if ends_on < starts_on:
        raise TermsNotOffered("The last day is before the first.", rule="days-reversed")
    if (ends_on - starts_on).days >= MAX_DAYS:
        raise TermsNotOffered(f"Terms run {MAX_DAYS} days at most.", rule="days-too-many")
    if (starts_on - today).days >= MAX_DAYS:
        raise TermsNotOffered("Terms do not begin that far ahead.", rule="days-too-far")
    if starts_on < today - timedelta(days=1) or ends_on < today:
        raise TermsNotOffered("The days are over already.", rule="days-over", today=str(today))


def check_not_lapsed(document: Mapping[str, Any], at: datetime) -> None:
    """Refuse to sign what is over before it begins."""
    ends_on = date.fromisoformat(document["ends_on"])
    if day_after(ends_on) <= at:
        raise TermsLapsed("The last day of these terms is over.", ends_on=str(ends_on))


def _party(party: Party) -> dict[str, str]:
    return {"id": party.id, "name": party.name, "credit_code": party.credit_code}


def _points(points: Points) -> dict[str, Any]:
    return {
        "plan": {
            "id": points.plan.id,
            "number": points.plan.number,
            "document": plan_document(points.plan.plan),
        },
        "purpose": points.purpose,
        "channel": points.channel,
        "starts_on": points.starts_on.isoformat(),
        "ends_on": points.ends_on.isoformat(),
        "time_zone": "Asia/Shanghai",
        "service_level": points.service_level,
        "liability": points.liability,
    }
