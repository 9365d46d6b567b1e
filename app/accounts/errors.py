"""How accounts say no.

Refusal
├── Malformed
│   ├── CreditCodeInvalid         the check character is wrong            400
│   └── RedirectUriInvalid        not an address to send a code to        400
├── NotAllowed
│   ├── ScopeNotYoursToGive       more than the giver has                 403
│   ├── OwnVerification           nobody verifies themselves              403
│   └── OperatorOnly              an alliance role outside the operator   403
├── StepNotAllowed
│   ├── VerificationStepRefused   nothing to decide, or asked already     409
│   ├── NameVerified              a verified name does not change         409
│   ├── ClientRevoked             a revoked client has no secret          409
│   └── LastOwner                 somebody must stay the owner            409
├── RuleBroken
│   ├── OrganisationNotVerified   trading takes a verified name           422
│   ├── CreditCodeTaken           there is such an organisation           422
│   ├── EmailNotAvailable         the address cannot be used here         422
│   ├── PasswordTooWeak           too short, or the email again           422
│   ├── DecisionIncomplete        no reason, or a day that has passed     422
│   ├── SecretNotUsed             a public client has none to rotate      422
│   ├── KeyInvalid                the key or its proof does not hold      422
│   ├── KeyAlreadyRegistered      one key, one organisation               422
│   └── NonceUnknown              not ours, lapsed, or used before        422
"""

from __future__ import annotations

from app.kernel.refusals import Malformed, NotAllowed, RuleBroken, StepNotAllowed


class CreditCodeInvalid(Malformed):
    """The credit code's check character is wrong."""

    slug = "credit-code-invalid"
    title = "Credit code invalid"


class RedirectUriInvalid(Malformed):
    """The address is not one that codes may be sent to."""

    slug = "redirect-uri-invalid"
    title = "Redirect address invalid"


class ScopeNotYoursToGive(NotAllowed):
    """Nobody gives away more than they have."""

    slug = "scope-not-yours-to-give"
    title = "Not yours to give"


class OwnVerification(NotAllowed):
    """Nobody verifies their own organisation."""

    slug = "own-verification"
    title = "Your own organisation"


class OperatorOnly(NotAllowed):
    """Alliance roles are for the operator's own people and programs."""

    slug = "operator-only"
    title = "For the operator only"


class VerificationStepRefused(StepNotAllowed):
    """There is nothing to decide, or a request is waiting already."""


class NameVerified(StepNotAllowed):
    """What a reviewer vouches for does not change meanwhile."""

    slug = "name-verified"
    title = "Verified, or under review"


class ClientRevoked(StepNotAllowed):
    """The client was revoked."""

    slug = "client-revoked"
    title = "Client revoked"


class LastOwner(StepNotAllowed):
    """Somebody must stay the owner."""

    slug = "last-owner"
    title = "The last owner"


class OrganisationNotVerified(RuleBroken):
    """Trading takes a verified name."""

    slug = "organisation-not-verified"
    title = "Organisation not verified"


class CreditCodeTaken(RuleBroken):
    """There is an organisation with this credit code."""

    slug = "credit-code-taken"
    title = "Credit code in use"


class EmailNotAvailable(RuleBroken):
    """The email address cannot be used here."""

    slug = "email-not-available"
    title = "Email not available"


class PasswordTooWeak(RuleBroken):
    """The password does not do."""

    slug = "password-too-weak"
    title = "Password too weak"


class DecisionIncomplete(RuleBroken):
    """A rejection says why; a verification holds for some days yet."""

    slug = "decision-incomplete"
    title = "Decision incomplete"


class SecretNotUsed(RuleBroken):
    """A public client has no secret."""

    slug = "secret-not-used"
    title = "No secret in use"


class KeyInvalid(RuleBroken):
    """The key, or the proof that it is held, does not hold."""

    slug = "key-invalid"
    title = "Key or proof invalid"


class KeyAlreadyRegistered(RuleBroken):
    """A key belongs to one organisation, once."""

    slug = "key-already-registered"
    title = "Key registered already"


class NonceUnknown(RuleBroken):
    """The nonce is not ours, has lapsed or was used before."""

    slug = "nonce-unknown"
    title = "Nonce not known"
