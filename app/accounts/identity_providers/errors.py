"""How identity providers say no.

Refusal
├── Malformed
│   └── IdentityProviderMalformed   a secret is missing, or one too many  400
├── RuleBroken
│   ├── IdentityProviderRefused     it announces what we cannot trust      422
│   ├── MailDomainTaken             it is another organisation's           422
│   └── ArrivalRefused              who came from there does not get in    422
Outage
└── IdentityProviderAway            it did not answer                      503
"""

from __future__ import annotations

from enum import StrEnum

from app.kernel.refusals import Malformed, Outage, RuleBroken


class IdentityProviderMalformed(Malformed):
    """Members that do not go together."""

    slug = "identity-provider-malformed"
    title = "Identity provider malformed"


class IdentityProviderRefused(RuleBroken):
    """What the identity provider announces cannot be trusted."""

    slug = "identity-provider-refused"
    title = "Identity provider refused"


class MailDomainTaken(RuleBroken):
    """The domain was confirmed for another organisation."""

    slug = "mail-domain-taken"
    title = "Domain of another organisation"


class IdentityProviderAway(Outage):
    """The identity provider did not answer."""

    slug = "identity-provider-away"
    title = "Identity provider away"


class Why(StrEnum):
    """What a person is told of an arrival that was refused; of what lies behind, nothing."""

    START_AGAIN = "company_stale"
    NOT_TRUSTED = "company_refused"
    NO_ROLE = "company_no_role"


class ArrivalRefused(RuleBroken):
    """Whoever came back from the identity provider does not get in."""

    slug = "arrival-refused"
    title = "Not signed in"

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why
