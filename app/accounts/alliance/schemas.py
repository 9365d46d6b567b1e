"""What clients send to the alliance, and what it answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, field

from app.accounts.alliance.membership import SeatRole, SeatState, Term
from app.accounts.alliance.rules import MAX_DENOMINATOR, Fraction, VotingRules
from app.accounts.schemas import Reason
from app.http.examples import SHA256, example_id, looks_like
from app.http.schemas import Body, View

CHARTER_CHARS = 200_000
VOTING = ["FOUNDER", "PRESIDENT", "VICE_PRESIDENT", "EXEC_DIRECTOR", "DIRECTOR", "MEMBER"]
QUORUM = {"numerator": 2, "denominator": 3}
MAJORITY = {"numerator": 1, "denominator": 2}
CHARTER_TEXT = "第一条 本联盟名称为数据有偿使用联盟。"
UNTIL = "2028-11-02"

Head = Annotated[int, Meta(ge=1, le=MAX_DENOMINATOR)]


@looks_like(from_="2026-11-02", until=UNTIL, role="MEMBER")
class NewSeat(Body):
    """A role in the alliance for a term: from the day `from` until the day before `until`."""

    organisation_id: str
    role: SeatRole
    from_: date = field(name="from")
    until: date

    def term(self) -> Term:
        """The days that are asked for."""
        return Term(self.from_, self.until)


@looks_like(until="2027-01-01", reason="退出联盟")
class SeatEnd(Body):
    """The first day without the role, today if left out, and why."""

    reason: Reason
    until: date | None = None


@looks_like(
    id=example_id("seat"),
    organisation_name="智谷示例有限公司",
    role="MEMBER",
    from_="2026-11-02",
    until=UNTIL,
    appointed_until=UNTIL,
    state="current",
)
class SeatView(View):
    """A role of an organisation and its term; `appointed_until` is the end that it was given."""

    id: str
    organisation_id: str
    organisation_name: str
    role: SeatRole
    from_: date = field(name="from")
    until: date
    appointed_until: date
    state: SeatState
    appointed_at: datetime
    ended_at: datetime | None
    ended_reason: str | None


@looks_like(numerator=2, denominator=3)
class FractionView(Body):
    """A part of a whole that is counted in heads."""

    numerator: Head
    denominator: Head

    def fraction(self) -> Fraction:
        """As the rules have it."""
        return Fraction(self.numerator, self.denominator)


@looks_like(voting_roles=VOTING, quorum=QUORUM, majority=MAJORITY)
class VotingRulesView(Body):
    """How the alliance votes under a charter.

    `voting_roles`: whose seats give a ballot, one for each organisation; observers never do.
    `quorum`: the part of them that must take part. `majority`: the part of those for and against
    that must be for; there must always be more for than against.
    """

    voting_roles: Annotated[list[SeatRole], Meta(min_length=1, max_length=len(SeatRole))]
    quorum: FractionView
    majority: FractionView

    def rules(self) -> VotingRules:
        """As the charter keeps them."""
        return VotingRules(
            voting_roles=frozenset(self.voting_roles),
            quorum=self.quorum.fraction(),
            majority=self.majority.fraction(),
        )


RULES_EXAMPLE = {"voting_roles": VOTING, "quorum": QUORUM, "majority": MAJORITY}


@looks_like(text=CHARTER_TEXT, effective_on="2026-12-01", voting=RULES_EXAMPLE)
class NewCharter(Body):
    """A version of the charter, and the day from which it is in force."""

    text: Annotated[str, Meta(min_length=1, max_length=CHARTER_CHARS)]
    effective_on: date
    voting: VotingRulesView


@looks_like(
    version=1,
    sha256=SHA256,
    effective_on="2026-12-01",
    in_force=True,
    text=CHARTER_TEXT,
    voting=RULES_EXAMPLE,
    versions=[1],
)
class CharterView(View):
    """A version of the charter; `sha256` is of its text in UTF-8, `versions` all numbers."""

    version: int
    sha256: str
    effective_on: date
    published_at: datetime
    in_force: bool
    text: str
    voting: VotingRulesView
    versions: list[int]
