"""How listings say no.

Refusal
├── Malformed
│   ├── FieldMalformed         a field of the metadata cannot be read     400
│   └── LicenceMalformed       a member of licence terms cannot be read   400
├── TooLarge (http)            the upload is larger than allowed          413
├── UnsupportedMediaType (http) not CSV, JSON Lines or Parquet            415
├── StepNotAllowed
│   ├── ListingStepRefused     the state forbids it                       409
│   ├── SlugTaken              another listing has this slug              409
│   ├── NewVersionNeeded       what is on sale is frozen                  409
│   └── NoSampleYet            there is no data to show                   409
├── NotAllowed
│   └── OwnReview              nobody reviews their own listing           403
└── RuleBroken
    ├── PlanRefused            tiers, quotas or currency do not fit       422
    ├── ModelNotOffered        a charge model that is not billed yet      422
    ├── OpenDataIsFree         open government data has price 0           422
    ├── ReviewIncomplete       a no without its reason or basis           422
    ├── LicenceRefused         terms that we could not keep               422
    ├── FileRefused            the file is not the table it says it is    422
    ├── DeliveryDiffers        the listing is not delivered that way      422
    ├── CredentialRefused      it could not be sent as it is              422 (upstreams.py)
    └── GatesFailed            the listing may not be published like this 422
"""

from __future__ import annotations

from app.kernel.refusals import Malformed, NotAllowed, RuleBroken, StepNotAllowed


class FieldMalformed(Malformed):
    """A field of the metadata cannot be read."""


class LicenceMalformed(Malformed):
    """A member of structured licence terms is unknown, missing or of another type."""


class ListingStepRefused(StepNotAllowed):
    """The state of the listing forbids this step."""


class SlugTaken(StepNotAllowed):
    """Another listing has this slug."""

    slug = "slug-taken"
    title = "Slug taken"


class NewVersionNeeded(StepNotAllowed):
    """What is on sale is frozen: open a new version to change it."""

    slug = "new-version-needed"
    title = "Open a new version first"


class NoSampleYet(StepNotAllowed):
    """There is no data to show a sample of."""

    slug = "no-sample"
    title = "No sample"


class OwnReview(NotAllowed):
    """Nobody reviews what their own organisation lists."""

    slug = "own-review"
    title = "Not your own listing"


class PlanRefused(RuleBroken):
    """A plan whose tiers, quotas or currencies do not fit together."""

    slug = "plan-refused"
    title = "Plan refused"


class ModelNotOffered(RuleBroken):
    """A charge model that is known but not billed yet."""

    slug = "model-not-offered"
    title = "Charge model not offered"


class OpenDataIsFree(RuleBroken):
    """Open government data has the price zero."""

    slug = "open-data-is-free"
    title = "Open data is free of charge"


class ReviewIncomplete(RuleBroken):
    """Who says no says why, and on what basis."""

    slug = "review-incomplete"
    title = "Reason or basis missing"


class LicenceRefused(RuleBroken):
    """Licence terms that we could not keep."""

    slug = "licence-refused"
    title = "Licence refused"


class FileRefused(RuleBroken):
    """The file is not the table that it says it is."""

    slug = "file-refused"
    title = "File refused"


class DeliveryDiffers(RuleBroken):
    """The listing is not delivered that way."""

    slug = "delivery-differs"
    title = "Delivered another way"


class GatesFailed(RuleBroken):
    """The listing may not be published as it is; `gates` lists every reason at once."""

    slug = "listing-gates-failed"
    title = "The listing is not ready"
