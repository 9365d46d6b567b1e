"""Spending: what a client signs for one request is good once, whoever sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlmodel import Session

from app.accounts.models import UsedNonce
from app.db.once import insert_once
from app.kernel.canonical import sha256_hex
from app.kernel.clock import from_epoch_us
from app.kernel.refusals import Refusal


@dataclass(frozen=True)
class OneUse:
    """The name of a signed text, and when it would have lapsed anyway (Unix seconds)."""

    kind: str
    signer: str
    jti: str
    lapses_at_s: int


class SpentInVain(Refusal):
    """The request was refused; what was signed for it is not good for another."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "spent-in-vain"
    title: ClassVar[str] = "Refused"


def spend(session: Session, use: OneUse) -> bool:
    """Mark it used; False if it was so already."""
    name = sha256_hex(f"{use.kind}\n{use.signer}\n{use.jti}".encode())
    lapses_at = from_epoch_us(use.lapses_at_s * 1_000_000)
    return insert_once(session, UsedNonce, {"sha256": name, "lapses_at": lapses_at})
