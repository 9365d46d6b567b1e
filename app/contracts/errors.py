"""How contracts say no.

Refusal
├── NotAllowed
│   └── NotYourStep            the step is the other side's             403
├── StepNotAllowed
│   ├── StepRefused            the state forbids it                     409
│   ├── TermsReplaced          the signature is for earlier terms       409
│   ├── TermsLapsed            the last day of the terms is over        409
│   └── ListingNotOpen         the listing is not on offer now          409
└── RuleBroken
    ├── OwnListing             buyer and provider are one               422
    ├── PartySuspended         a party may not trade now                422
    ├── TermsNotOffered        plan, dates or quota do not fit          422
    ├── NotLicensed            the licence does not allow it            422
    ├── UnitsNotGranted        nobody could burn these units            422
    ├── SignatureMissing       nothing was signed                       422
    ├── SignatureInvalid       the signature does not hold              422
    ├── SigningKeyUnknown      no such key of this organisation         422
    ├── SigningKeyRevoked      the key was withdrawn                    422
    └── CustodialNotOffered    we hold no keys for others               422
"""

from __future__ import annotations

from app.kernel.refusals import NotAllowed, RuleBroken, StepNotAllowed


class NotYourStep(NotAllowed):
    """The step is the other side's."""

    slug = "not-your-step"
    title = "The other side's step"


class StepRefused(StepNotAllowed):
    """The state of the negotiation or contract forbids this step."""


class TermsReplaced(StepNotAllowed):
    """The signature is for terms that have been replaced since."""

    slug = "terms-replaced"
    title = "Signed over earlier terms"


class TermsLapsed(StepNotAllowed):
    """The last day of the terms is over."""

    slug = "terms-lapsed"
    title = "The terms have lapsed"


class ListingNotOpen(StepNotAllowed):
    """The listing is not on offer now."""

    slug = "listing-not-open"
    title = "Listing not on offer"


class OwnListing(RuleBroken):
    """Nobody buys from themselves."""

    slug = "own-listing"
    title = "Your own listing"


class PartySuspended(RuleBroken):
    """A party may not trade now."""

    slug = "party-suspended"
    title = "Party suspended"


class TermsNotOffered(RuleBroken):
    """Plan, dates or quota do not fit what is on offer."""

    slug = "terms-not-offered"
    title = "Terms not on offer"


class NotLicensed(RuleBroken):
    """The licence does not allow it."""

    slug = "not-licensed"
    title = "Not allowed by the licence"


class UnitsNotGranted(RuleBroken):
    """No call could burn these units, or there are too many grants of them."""

    slug = "units-not-granted"
    title = "Units not granted"


class SignatureMissing(RuleBroken):
    """Nothing was signed."""

    slug = "signature-missing"
    title = "Not signed"


class SignatureInvalid(RuleBroken):
    """The signature does not hold over the terms' canonical bytes."""

    slug = "signature-invalid"
    title = "Signature does not hold"


class SigningKeyUnknown(RuleBroken):
    """The organisation has no such key: whether another has one is not told."""

    slug = "signing-key-unknown"
    title = "Unknown signing key"


class SigningKeyRevoked(RuleBroken):
    """The key was withdrawn before this signature came."""

    slug = "signing-key-revoked"
    title = "Signing key revoked"


class CustodialNotOffered(RuleBroken):
    """This installation keeps no signing keys for others."""

    slug = "custodial-not-offered"
    title = "No custodial signing here"
