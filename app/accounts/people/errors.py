"""How people's own doors say no.

Refusal
├── NotAllowed
│   ├── PeopleOnly           a program has no password        403
│   └── OwnReset             one's own is changed, not reset  403
├── StepNotAllowed
│   └── PasswordChanged      it was changed meanwhile         409
└── RuleBroken
    ├── PasswordNotRight     the present password is another  422
    └── ResetNotGood         unknown, used, lapsed or undone  422
"""

from __future__ import annotations

from app.kernel.refusals import NotAllowed, RuleBroken, StepNotAllowed


class PeopleOnly(NotAllowed):
    """A program has no password and no browser."""

    slug = "people-only"
    title = "For people only"


class OwnReset(NotAllowed):
    """One's own password is changed by the one that one has."""

    slug = "own-reset"
    title = "Your own password"


class PasswordChanged(StepNotAllowed):
    """The password was changed meanwhile."""

    slug = "password-changed"
    title = "Changed meanwhile"


class PasswordNotRight(RuleBroken):
    """The present password is another."""

    slug = "password-not-right"
    title = "Password not right"


class ResetNotGood(RuleBroken):
    """The reset is unknown, was used, has lapsed or was replaced: which, is not told."""

    slug = "reset-not-good"
    title = "Reset not good"
