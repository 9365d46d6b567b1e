"""Goods of the demo: two real, openly licensed data sets and one live API, ready to be listed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Goods:
    """What a provider lists: the listing's document, its licence, its plan, and where it is."""

    listing: Document
    licence: Document
    plan: Document
    source: Document


def price(amount: str) -> dict[str, str]:
    """A unit price in yuan."""
    return {"amount": amount, "currency": "CNY"}


def world_gdp(slug: str = "world-gdp") -> Goods:
    """GDP of every country and year: 20 calls free, then graduated, 100 calls to a contract."""
    return Goods(
        listing={
            "slug": slug,
            "delivery": "hosted",
            "metadata": {
                **_common("world_gdp.csv", "hosted"),
                "title": "世界各国国内生产总值（年度）",
                "title_en": "Gross domestic product by country and year",
                "abstract": "世界银行发布的各国及地区年度国内生产总值，现价美元。"
                " Annual GDP of countries and regions in current US dollars, from the World Bank.",
                "keywords": ["GDP", "国内生产总值", "世界银行", "宏观经济"],
                "sector_code": "J66",
                "region_code": "100000",
                "level": "NATIONAL",
                "form": "DATASET",
                "format": "FILE",
                "time_from": "1960-01-01",
                "time_to": "2023-12-31",
                "schema": [
                    {"name": "Country Name", "meaning": "国家或地区名称"},
                    {"name": "Country Code", "meaning": "ISO 3166-1 三位代码"},
                    {"name": "Year", "meaning": "年份"},
                    {"name": "Value", "meaning": "国内生产总值", "unit": "现价美元"},
                ],
            },
        },
        licence=_licence("hosted"),
        plan={
            "name": "研究版",
            "charges": [
                {
                    "model": "included",
                    "units": 20,
                    "then": {
                        "model": "graduated",
                        "tiers": [
                            {"up_to": 50, "unit_price": price("1.00")},
                            {"up_to": None, "unit_price": price("0.80")},
                        ],
                    },
                }
            ],
            "quotas": [{"window": "contract", "limit_units": 100, "overage": "block"}],
        },
        source=_file("world_gdp.csv"),
    )


def china_divisions(slug: str = "china-divisions") -> Goods:
    """Districts and counties of China, by the row."""
    return Goods(
        listing={
            "slug": slug,
            "delivery": "hosted",
            "metadata": {
                **_common("china_areas.csv", "hosted"),
                "title": "全国区县行政区划代码",
                "title_en": "Districts and counties of China",
                "abstract": "全国 2,978 个区县的名称与行政区划代码。"
                " Names and codes of the 2,978 districts and counties of China.",
                "keywords": ["行政区划", "区县", "GB/T 2260"],
                "sector_code": "S92",
                "region_code": "100000",
                "level": "NATIONAL",
                "form": "DATASET",
                "format": "FILE",
                "time_from": "2023-01-01",
                "time_to": "2023-12-31",
                "schema": [
                    {"name": "code", "meaning": "区县代码", "primary_key": True},
                    {"name": "name", "meaning": "区县名称"},
                    {"name": "cityCode", "meaning": "所属城市代码"},
                    {"name": "provinceCode", "meaning": "所属省份代码"},
                ],
            },
        },
        licence=_licence("hosted"),
        plan={
            "name": "按行计费",
            "meter": "row",
            "charges": [{"model": "per_unit", "unit_price": price("0.0125")}],
            "quotas": [{"window": "month", "limit_units": 10_000, "overage": "block"}],
            "rate": {"per_second": 50, "burst": 100},
        },
        source=_file("china_areas.csv"),
    )


def divisions_api(upstream_url: str, key: str, slug: str = "divisions-api") -> Goods:
    """A provider's live API, called through the gateway with the provider's own key."""
    fields = [{"name": "code", "meaning": "行政区划代码"}]
    return Goods(
        listing={
            "slug": slug,
            "delivery": "upstream",
            "metadata": {
                **_common("china_areas.csv", "upstream"),
                "title": "行政区划查询接口",
                "title_en": "Administrative divisions as an API",
                "abstract": "按代码或名称查询行政区划及其上级。"
                " Look up a division and what it lies in, by code or name.",
                "keywords": ["行政区划", "接口"],
                "object_type": "DATA_SERVICE",
                "sector_code": "S92",
                "region_code": "100000",
                "level": "NATIONAL",
                "form": "API",
                "format": "API",
                "time_from": "2023-01-01",
                "time_to": "2023-12-31",
                "api_in": fields,
                "api_out": [*fields, {"name": "name", "meaning": "名称"}],
                "tech_doc": _proof("接口说明"),
                "delivery_level": "RESULT",
            },
        },
        licence=_licence("upstream"),
        plan={
            "name": "按次计费",
            "charges": [{"model": "per_unit", "unit_price": price("0.50")}],
            "quotas": [{"window": "day", "limit_units": 1_000, "overage": "block"}],
        },
        source={
            "upstream": {
                "base_url": upstream_url,
                "auth": {"kind": "header", "name": "X-Api-Key", "secret": key},
                "timeout_s": 10,
                "body_max_bytes": 1_000_000,
            }
        },
    )


def _common(data_file: str, delivery: str) -> dict[str, Any]:
    """What all goods of the demo say alike."""
    digest = hashlib.sha256((DATA / data_file).read_bytes()).hexdigest()
    return {
        "object_type": "DATA_PRODUCT",
        "scene": ["INDUSTRY"],
        "rights": ["HOLD", "USE", "OPERATE"],
        "rights_evidence": [_proof("开放许可证")],
        "source_mode": "PUBLIC_WEB",
        "source_statement": "来自公开数据集，许可证允许再利用，见随附说明。",
        "source_evidence": [{"name": data_file, "sha256": digest}],
        "public_data_kind": "none",
        "update_cycle": "EVERY_YEAR",
        "last_update": "2026-01-05T00:00:00Z",
        "quality": {
            "completeness": "0.98",
            "accuracy": "0.99",
            "consistency": "1",
            "timeliness": "0.9",
            "conformity": "1",
            "accessibility": "1",
        },
        "data_level": "GENERAL",
        "pi_class": "NONE",
        "pi_sensitive": False,
        "pi_minor": False,
        "purposes_allowed": ["RESEARCH", "INDUSTRY", "INTERNAL"],
        "purposes_denied": [],
        "use_limits": {"resale": False, "derive": True},
        "delivery_modes": [delivery],
        "delivery_level": "QUERY",
        "qualifications": [
            _qualification("COMPLIANCE", "合规评估", "演示律所"),
            _qualification("COMMITMENT", "法律承诺书", "演示数据公司"),
        ],
        "contact": {"name": "数据服务部", "email": "data@zhigu.example"},
    }


def _licence(channel: str) -> dict[str, Any]:
    return {
        "actions": ["use", "read", "derive"],
        "prohibited": ["distribute", "sell"],
        "duties": ["compensate", "attribute"],
        "purposes": ["RESEARCH", "INDUSTRY", "INTERNAL"],
        "channels": [channel],
        "ends_on": date(2036, 12, 31).isoformat(),
    }


def _file(name: str) -> dict[str, Any]:
    return {"file": name, "content": (DATA / name).read_bytes(), "media_type": "text/csv"}


def _proof(name: str) -> dict[str, str]:
    return {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}


def _qualification(kind: str, name: str, issuer: str) -> dict[str, Any]:
    digest = _proof(name)["sha256"]
    return {"type": kind, "no": f"DEMO-{kind}", "issuer": issuer, "sha256": digest}
