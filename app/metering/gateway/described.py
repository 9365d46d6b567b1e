"""Described: what is said alike of everything that the gateway answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.http.described_parameters import IDEMPOTENCY_KEY
from app.http.describing import described_headers, operation_id, security_of
from app.http.documented import Problem
from app.http.examples import WORDS, example_id
from app.kernel.refusals import Malformed, NotAllowed, NotSignedIn, Outage, RowNotFound
from app.listings.codes import Purpose
from app.metering.errors import (
    ChannelNotAllowed,
    ContractUnclear,
    GrantsStale,
    GrantSuspended,
    KeyOutgrown,
    KeyReused,
    KeySpent,
    NoGrant,
    PurposeNotAllowed,
    QuotaExhausted,
    RateLimited,
)
from app.metering.gateway.principals import DATA_SCOPE
from app.metering.tally.calls import MAX_REPLAYS

ANY_CALL: tuple[Problem, ...] = (
    Malformed,
    NotSignedIn,
    NotAllowed,
    NoGrant,
    GrantSuspended,
    PurposeNotAllowed,
    ChannelNotAllowed,
    RowNotFound,
    ContractUnclear,
    KeyReused,
    KeySpent,
    KeyOutgrown,
    QuotaExhausted,
    RateLimited,
    Outage,
    GrantsStale,
)
"""What every call may be refused with; nothing of it counts."""

COUNTED = described_headers(
    {
        "Usage-Receipt": "The id of the usage event that the call was counted by, `evt_…`.",
        "RateLimit-Policy": "The quotas and the rate of the contract"
        " (draft-ietf-httpapi-ratelimit-headers-10).",
        "RateLimit": "What is left of each quota, and the seconds until it begins anew.",
        "Idempotency-Replayed": "`true` when the key has paid for this answer before.",
        "Content-Disposition": "Always `attachment`: what comes is foreign content.",
    }
)

_COUNTS_TEXT = f"""
A call is admitted against the contract's quota and counted on disk before the first byte goes out.
Under an `Idempotency-Key` it is counted once and may be repeated {MAX_REPLAYS} times.

What counts is the answer that we give, not what arrives: whoever hangs up, or reads too slowly to
the end, has been served, and gets it again under the same key. What never became a request that we
could read whole, and what we refuse, never counts.
Needs a token with the scope `{DATA_SCOPE}`, of the organisation that has the contract.
"""


def parameter(
    place: str, name: str, meaning: str, schema: Mapping[str, Any], example: Any
) -> dict[str, Any]:
    """A parameter of text, unless `schema` says otherwise; one in the path is required."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": meaning,
        "schema": {"type": "string", **schema},
        "example": example,
    }


SLUG = parameter("path", "slug", "The listing's short name.", {}, WORDS["slug"])
HEADERS = (
    parameter(
        "header",
        "Contract",
        "The contract to count under; needed where several open the listing.",
        {},
        example_id("ctr"),
    ),
    parameter(
        "header",
        "Purpose",
        "What the data are wanted for, if you want to be refused when it is not the contract's.",
        {"enum": [purpose.value for purpose in Purpose]},
        WORDS["purpose"],
    ),
    {
        **IDEMPOTENCY_KEY,
        "description": f"Repeats under one key are counted once: {MAX_REPLAYS} within 24 hours for"
        " hosted rows and files, within 10 minutes for a provider's API. A repeat gives what the"
        " first call paid for and no more: one whose answer has more units by now, or is counted"
        " by another meter, is 422 `idempotency-key-outgrown`, and none of the repeats.",
    },
)


def operation(
    method: str,
    path: str,
    texts: tuple[str, str],
    parameters: Sequence[Mapping[str, Any]],
    responses: Mapping[str, Any],
) -> dict[str, Any]:
    """An operation on a listing's data; `texts` are its summary and what is special about it."""
    summary, text = texts
    paragraphs = [*text.strip().split("\n\n"), *_COUNTS_TEXT.strip().split("\n\n")]
    return {
        "tags": ["Data"],
        "summary": summary,
        "description": "\n\n".join(" ".join(part.split()) for part in paragraphs),
        "operationId": operation_id(method, path),
        "parameters": [SLUG, *parameters, *HEADERS],
        "responses": dict(responses),
        "security": security_of(frozenset({DATA_SCOPE})),
    }
