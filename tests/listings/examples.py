"""Examples: a listing that passes every gate, in the form in which the API takes it."""

from __future__ import annotations

from typing import Any

SHA256 = "ab" * 32
EVIDENCE = {"name": "证明.pdf", "sha256": SHA256}


def complete_metadata(**changes: Any) -> dict[str, Any]:
    """Metadata with every required field of domain.md; a change to None takes a field away."""
    fields: dict[str, Any] = {
        "title": "世界各国国内生产总值",
        "title_en": "Gross domestic product of the world's countries",
        "object_type": "DATA_PRODUCT",
        "abstract": "1960 年以来各国国内生产总值,按年。",
        "keywords": ["GDP", "经济"],
        "sector_code": "L72",
        "scene": ["CITY_MGMT", "INDUSTRY"],
        "region_code": "500108",
        "level": "NATIONAL",
        "rights": ["HOLD", "OPERATE"],
        "rights_evidence": [EVIDENCE],
        "source_mode": "COLLECTED",
        "source_statement": "世界银行公开数据,PDDL 1.0。",
        "source_evidence": [EVIDENCE],
        "public_data_kind": "none",
        "form": "DATASET",
        "format": "TABLE",
        "time_from": "1960-01-01",
        "time_to": "2023-12-31",
        "update_cycle": "EVERY_YEAR",
        "last_update": "2026-01-05T00:00:00Z",
        "quality": {
            "completeness": "0.98",
            "accuracy": "1",
            "consistency": "0.99",
            "timeliness": "0.9",
            "conformity": "1.0",
            "accessibility": "1",
        },
        "data_level": "GENERAL",
        "pi_class": "NONE",
        "pi_sensitive": False,
        "pi_minor": False,
        "purposes_allowed": ["RESEARCH", "INDUSTRY"],
        "purposes_denied": [],
        "use_limits": {"resale": False, "derive": True},
        "delivery_modes": ["hosted"],
        "delivery_level": "QUERY",
        "qualifications": [qualification("COMPLIANCE"), qualification("COMMITMENT")],
        "contact": {"name": "张三", "phone": "13800001234", "email": "zhang@example.com"},
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


def qualification(kind: str, **changes: Any) -> dict[str, Any]:
    return {"type": kind, "no": "2026-1", "issuer": "评估机构", "sha256": SHA256, **changes}


def licence_terms(**changes: Any) -> dict[str, Any]:
    """Structured licence terms that fit `complete_metadata`."""
    return {"actions": ["use", "derive"], "purposes": ["RESEARCH", "INDUSTRY"], **changes}


def price(amount: str, currency: str = "CNY") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def per_unit_plan(**changes: Any) -> dict[str, Any]:
    """A plan of 0.0125 a call with 100 calls in the contract, as the API takes it."""
    return {
        "name": "standard",
        "charges": [{"model": "per_unit", "unit_price": price("0.0125")}],
        "quotas": [{"window": "contract", "limit_units": 100, "overage": "block"}],
        **changes,
    }


# The rows of domain.md's table of metadata that everybody must state, in its order.
REQUIRED = [
    "title",
    "object_type",
    "abstract",
    "keywords",
    "sector_code",
    "scene",
    "region_code",
    "level",
    "rights",
    "rights_evidence",
    "source_mode",
    "source_statement",
    "source_evidence",
    "public_data_kind",
    "form",
    "format",
    "time_from",
    "time_to",
    "update_cycle",
    "last_update",
    "quality",
    "data_level",
    "pi_class",
    "pi_sensitive",
    "pi_minor",
    "purposes_allowed",
    "purposes_denied",
    "use_limits",
    "delivery_modes",
    "delivery_level",
    "qualifications",
    "contact",
]
