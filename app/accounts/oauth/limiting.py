"""Limiting: every try to sign in is held against the email and the address that it came from.

It is counted before the password is looked at, in a transaction of its own: tries at the same
moment count too, and a wrong try is remembered although its request changes nothing else. The
address is always locked first, then the email, so that two tries never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from app.accounts.oauth.models import SignInTries
from app.accounts.oauth.tries import PER_ADDRESS, PER_EMAIL, Allowance, Debt, add_try, take_back
from app.db.engine import is_sqlite
from app.db.session import now
from app.kernel.canonical import sha256_hex
from app.kernel.refusals import Refusal


class TooManyTries(Refusal):
    """So many tries failed, for this email or from this address, that the next must wait."""

    status: ClassVar[int] = 429
    slug: ClassVar[str] = "too-many-tries"
    title: ClassVar[str] = "Too many tries"

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            "Too many tries; wait a while.",
            headers={"Retry-After": str(wait_s)},
            retry_after_s=wait_s,
        )
        self.wait_s = wait_s


def count_try(session: Session, email: str, address: str) -> None:
    """Hold one more try against both, or refuse it with `TooManyTries`, uncounted."""
    moment = now(session)
    for row, allowance in _locked_rows(session, email, address):
        wait_s = _debt(row).wait_s(moment)
        if wait_s:
            raise TooManyTries(wait_s)
        _keep(row, add_try(_debt(row), allowance, moment))


def forgive_try(session: Session, email: str, address: str) -> None:
    """The try was right: nothing is held against the email, and this one not against the address.

    Only this one: else whoever has one account could guess at others for ever.
    """
    moment = now(session)
    (theirs, allowance), (mine, _) = _locked_rows(session, email, address)
    _keep(theirs, take_back(_debt(theirs), allowance, moment))
    _keep(mine, Debt(moment, moment))


def count_visit(session: Session, address: str) -> None:
    """Hold one more way to an identity provider against the address, or refuse it uncounted."""
    row = _address_row(session, address)
    wait_s = _debt(row).wait_s(now(session))
    if wait_s:
        raise TooManyTries(wait_s)
    _keep(row, add_try(_debt(row), PER_ADDRESS, now(session)))


def forgive_visit(session: Session, address: str) -> None:
    """The way led to somebody: it is not held against the address."""
    row = _address_row(session, address)
    _keep(row, take_back(_debt(row), PER_ADDRESS, now(session)))


def _locked_rows(
    session: Session, email: str, address: str
) -> Iterator[tuple[SignInTries, Allowance]]:
    yield _address_row(session, address), PER_ADDRESS
    yield _locked_row(session, f"email:{email}"), PER_EMAIL


def _address_row(session: Session, address: str) -> SignInTries:
    return _locked_row(session, f"address:{address}")


def _locked_row(session: Session, name: str) -> SignInTries:
    digest, moment = sha256_hex(name.encode()), now(session)
    insert = sqlite.insert if is_sqlite(session.connection()) else postgresql.insert
    fresh = insert(SignInTries).values(name_sha256=digest, clear_at=moment, blocked_until=moment)
    # DO UPDATE locks the row that is there: DO NOTHING would leave it to a sweep's delete.
    same = {"name_sha256": fresh.excluded.name_sha256}
    session.execute(fresh.on_conflict_do_update(index_elements=["name_sha256"], set_=same))
    return session.get_one(SignInTries, digest, populate_existing=True)


def _debt(row: SignInTries) -> Debt:
    return Debt(row.clear_at, row.blocked_until)


def _keep(row: SignInTries, debt: Debt) -> None:
    row.clear_at, row.blocked_until = debt.clear_at, debt.blocked_until
