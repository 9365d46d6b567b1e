"""Described parameters: what stands in a path, a query or a header, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.http.entity_tags import etag
from app.http.examples import WORDS, example_id
from app.http.idempotency import MAX_KEY_LENGTH
from app.http.paging import MAX_LIMIT, encode_cursor

MEANINGS: Mapping[str, str] = {
    "path any_id": "Any id of a sale: of its contract, a call, an invoice, a payment and so on.",
    "path domain": "A domain of mail addresses that the organisation claims.",
    "path number": "The number of the leaf in the log, from 0.",
    "path version": "A version of the charter, from 1.",
    "path path": "Which tile: `L/N`, `entries/N`, or a partial one with `.p/W`.",
    "path period": "A month, such as `2026-11`.",
    "query account": "Only transfers that touch this account.",
    "query cause": "Only transfers that this id has caused.",
    "query contract_id": "Only what belongs to this contract.",
    "query currency": "The currency that `price_max` is in.",
    "query cursor": "Where to go on: `next_cursor` of the page before.",
    "query first_on": "The first day, in Asia/Shanghai.",
    "query from": "The size of the smaller tree.",
    "query group_by": "What use is summed by.",
    "query index": "The number of the leaf, from 0.",
    "query invoice_id": "Only what belongs to this invoice.",
    "query last_on": "The last day, included.",
    "query limit": "How many items at most.",
    "query listing_id": "Only what belongs to this listing.",
    "query number": "A version of the terms, from 1; the newest when left out.",
    "query on": "Only what holds on this day, in Asia/Shanghai.",
    "query open_type": "Only public data that is opened in this way.",
    "query period": "Only of this month, such as `2026-11`.",
    "query price_max": "The highest headline price, in major units as decimal text.",
    "query organisation_id": "Only of this organisation.",
    "query provider": "Only of this organisation.",
    "query q": "Words to look for, Chinese or English.",
    "query region": "Only of regions whose code begins with this.",
    "query role": "Only of this role in the alliance.",
    "query scene": "Only for this scene of use.",
    "query sector": "Only of sectors whose code begins with this.",
    "query size": "The size of the tree.",
    "query sort": "The order: newest first, by title, or cheapest first.",
    "query starting": "Only accounts whose code begins with this.",
    "query state": "Only what is in this state.",
    "query subject": "The id of the row whose story is asked for.",
    "query to": "The size of the larger tree.",
    "query unread": "Whether only what nobody has read is listed.",
    "query units": "How many units to price.",
    "query zeros": "Whether days or months without use are shown too.",
    "header If-Match": "The `ETag` of what was read; if it was edited since, nothing changes.",
}
"""What a parameter means wherever it stands; `path contract_id` needs no line."""

EXAMPLES: Mapping[str, Any] = {
    # One log of 12 leaves, of which number 7 is looked at; so is it where answers are shown.
    "path number": 7,
    "path path": "0/000",
    "path version": 1,
    "query account": f"receivable:{WORDS['buyer_id']}",
    "query cause": WORDS["invoice_id"],
    "query cursor": encode_cursor(example_id("ctr", 20)),
    "query first_on": "2026-11-01",
    "query from": 8,
    "query index": 7,
    "query last_on": "2026-11-30",
    "query limit": 20,
    "query number": 2,
    "query on": "2026-11-02",
    "query price_max": "0.50",
    "query provider": WORDS["provider_id"],
    "query q": "生产总值",
    "query region": WORDS["region_code"][:4],
    "query sector": WORDS["sector_code"],
    "query size": 12,
    "query starting": "receivable:",
    "query to": 12,
    "query unread": True,
    "query zeros": True,
    "header If-Match": etag(3),
}
"""What a parameter looks like, where neither its name (`WORDS`) nor its enumeration says so."""

IDEMPOTENCY_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeating the request under the same key gives the first answer again, for 24"
    " hours; the answer then carries `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    "example": "order-2026-11-02-0001",
}


def described_parameters(
    found: list[dict[str, Any]], schemas: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Litestar's parameters, each with what it means and what it looks like; `schemas` are those
    that they refer to.
    """
    for parameter in found:
        name = parameter["name"]
        schema = _without_null(parameter["schema"])
        if name == "limit":
            schema = {**schema, "minimum": 1, "maximum": MAX_LIMIT}
        described = {
            "name": name,
            "in": parameter["in"],
            "required": parameter.get("required", False),
            "description": _meaning(parameter),
            "schema": schema,
        }
        example = _example(described, schemas)
        yield described if example is None else {**described, "example": example}


def _example(parameter: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """What it looks like; of an enumeration the first value, as in bodies."""
    place, name, schema = parameter["in"], parameter["name"], parameter["schema"]
    known = EXAMPLES.get(f"{place} {name}", WORDS.get(name))
    if known is None and "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
        known = next(iter(schema.get("enum", ())), None)
    return known


def _meaning(parameter: Mapping[str, Any]) -> str:
    place, name = parameter["in"], parameter["name"]
    known = MEANINGS.get(f"{place} {name}") or parameter.get("description")
    if known:
        return str(known)
    if place == "path" and name.endswith("_id"):
        return f"The id of the {name.removesuffix('_id').replace('_', ' ')}."
    return ""


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out, never null: the one schema that is left, with its bounds."""
    kinds = [kind for kind in schema.get("oneOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    others = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**kinds[0], **others}
