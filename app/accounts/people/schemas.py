"""What clients send to people's own doors, and what they get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from app.http.examples import looks_like
from app.http.schemas import Body, View

Password = Annotated[str, Meta(min_length=1, max_length=1024)]


@looks_like(present="correct horse battery", wanted="staple of a longer sort")
class PasswordChange(Body):
    """The password that is, and the one that is to be."""

    present: Password
    wanted: Password


@looks_like(state="changed", sessions_ended=2)
class PasswordChangedView(View):
    """The password is another one; every session and token of before has ended, this one too."""

    state: Literal["changed"]
    sessions_ended: int


@looks_like(
    state="issued",
    token="wK3vD0m8pX1sQ7yT",  # noqa: S106 - an example
    url="https://zhigu.example/oauth/reset-password?token=wK3vD0m8pX1sQ7yT",
)
class ResetView(View):
    """A one-time right to set the member's password, shown this once.

    Nothing is sent by mail: hand `url` to the person by a way that you trust.
    """

    state: Literal["issued"]
    token: str
    url: str
    lapses_at: datetime
