"""Chartering: the administrator publishes a version of the charter, which never changes."""

from __future__ import annotations

from datetime import date

from sqlmodel import Session

from app.accounts.alliance.errors import CharterLater, CharterRefused
from app.accounts.alliance.models import Charter
from app.accounts.alliance.queries import newest_charter, today
from app.accounts.alliance.rules import VotingRules
from app.accounts.claiming import claim
from app.audit.recording import record
from app.db.session import actor_of, now
from app.kernel.canonical import sha256_hex
from app.kernel.clock import check_day
from app.kernel.ids import new_id


def publish_charter(session: Session, text: str, effective_on: date, rules: VotingRules) -> Charter:
    """The next version, in force from `effective_on`, which is today at the earliest.

    Refuses with `CharterRefused` or `CharterLater`. Two that are published at once are told apart
    by the constraint on their number.
    """
    check_day(effective_on)
    if faults := rules.faults():
        raise CharterRefused(faults[0], faults=faults)
    if effective_on < today(session):
        raise CharterRefused("A charter does not bind the past.", today=today(session).isoformat())
    last = newest_charter(session)
    later = CharterLater("There is a version that takes effect no earlier.")
    if last is not None and effective_on <= last.effective_on:
        raise later
    charter = Charter(
        id=new_id("cht"),
        number=1 if last is None else last.number + 1,
        text=text,
        sha256=sha256_hex(text.encode()),
        effective_on=effective_on,
        voting_roles=sorted(role.value for role in rules.voting_roles),
        quorum_numerator=rules.quorum.numerator,
        quorum_denominator=rules.quorum.denominator,
        majority_numerator=rules.majority.numerator,
        majority_denominator=rules.majority.denominator,
        published_at=now(session),
        published_by=actor_of(session).id,
    )
    claim(session, charter, later)
    record(
        session,
        "charter:published",
        charter.id,
        number=charter.number,
        sha256=charter.sha256,
        effective_on=effective_on.isoformat(),
        rules=rules.as_json(),
    )
    return charter
