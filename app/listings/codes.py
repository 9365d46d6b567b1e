"""Codes: the enumerations of the alliance's world; a code goes on the wire exactly as it is here.

Those marked *local* have no list of their own in the sources.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Delivery(StrEnum):
    """交付方式: how a buyer gets at the data; also the channel that a licence may name."""

    HOSTED = "hosted"
    UPSTREAM = "upstream"
    FILE = "file"
    REPORTED = "reported"


class ShareType(StrEnum):
    """共享类型."""

    UNCONDITIONAL = "UNCONDITIONAL"
    CONDITIONAL = "CONDITIONAL"
    DENIED = "DENIED"


class OpenType(StrEnum):
    """开放类型."""

    UNCONDITIONAL = "UNCONDITIONAL"
    CONDITIONAL = "CONDITIONAL"
    DENIED = "DENIED"


class UpdateCycle(StrEnum):
    """更新周期; NONE is local."""

    REAL_TIME = "REAL_TIME"
    EVERY_DAY = "EVERY_DAY"
    EVERY_WEEK = "EVERY_WEEK"
    EVERY_MONTH = "EVERY_MONTH"
    EVERY_QUARTER = "EVERY_QUARTER"
    HALF_YEAR = "HALF_YEAR"
    EVERY_YEAR = "EVERY_YEAR"
    IRREGULAR = "IRREGULAR"
    OTHER = "OTHER"
    NONE = "NONE"


class Format(StrEnum):
    """信息资源格式."""

    TABLE = "TABLE"
    FILE = "FILE"
    FOLDER = "FOLDER"
    API = "API"
    LINK = "LINK"
    STREAM = "STREAM"


class ObjectType(StrEnum):
    """标的类型."""

    DATA_PRODUCT = "DATA_PRODUCT"
    DATA_SERVICE = "DATA_SERVICE"
    DATA_TOOL = "DATA_TOOL"
    OTHER = "OTHER"


class Form(StrEnum):
    """产品形态."""

    DATASET = "DATASET"
    API = "API"
    REPORT = "REPORT"
    INDEX = "INDEX"
    MODEL = "MODEL"
    VERIFICATION = "VERIFICATION"
    VISUAL = "VISUAL"


class SourceMode(StrEnum):
    """数据来源方式."""

    SELF_PRODUCED = "SELF_PRODUCED"
    COLLECTED = "COLLECTED"
    PUBLIC_WEB = "PUBLIC_WEB"
    AUTHORISED = "AUTHORISED"
    TRADED = "TRADED"
    OTHER = "OTHER"


class DataRight(StrEnum):
    """持有权, 加工使用权, 产品经营权."""

    HOLD = "HOLD"
    USE = "USE"
    OPERATE = "OPERATE"


class DataLevel(StrEnum):
    """数据级别 (GB/T 43697)."""

    GENERAL = "GENERAL"
    IMPORTANT = "IMPORTANT"
    CORE = "CORE"


class PersonalClass(StrEnum):
    """个人信息: what of persons is in the data."""

    NONE = "NONE"
    ANONYMISED = "ANONYMISED"
    DEIDENTIFIED = "DEIDENTIFIED"
    PERSONAL = "PERSONAL"
    SENSITIVE = "SENSITIVE"


class Purpose(StrEnum):
    """用途."""

    PUBLIC_GOVERNANCE = "PUBLIC_GOVERNANCE"
    PUBLIC_INTEREST = "PUBLIC_INTEREST"
    INDUSTRY = "INDUSTRY"
    SECTOR = "SECTOR"
    RESEARCH = "RESEARCH"
    INTERNAL = "INTERNAL"


class Scene(StrEnum):
    """应用场景."""

    AGRICULTURE = "AGRICULTURE"
    INDUSTRY = "INDUSTRY"
    TRANSPORT = "TRANSPORT"
    EDUCATION = "EDUCATION"
    SECURITY = "SECURITY"
    CITY_MGMT = "CITY_MGMT"
    PUBLIC_RESOURCE_TRADE = "PUBLIC_RESOURCE_TRADE"


class PublicDataKind(StrEnum):
    """公共数据类别."""

    NONE = "none"
    OPEN = "open"
    SHARED = "shared"
    AUTHORISED = "authorised"


class RegionLevel(StrEnum):
    """层级, local: whose data it is, by the levels of GB/T 2260."""

    NATIONAL = "NATIONAL"
    PROVINCE = "PROVINCE"
    CITY = "CITY"
    DISTRICT = "DISTRICT"


class DeliveryLevel(StrEnum):
    """交付等级, local: how much leaves the house."""

    COPY = "COPY"
    QUERY = "QUERY"
    RESULT = "RESULT"


class QualificationKind(StrEnum):
    """资质, local codes: 合规, 质量, 法律承诺, 资产评估."""

    COMPLIANCE = "COMPLIANCE"
    QUALITY = "QUALITY"
    COMMITMENT = "COMMITMENT"
    VALUATION = "VALUATION"


# The first two digits of GB/T 2260: the country's 34 divisions of the first level.
_PROVINCES = frozenset(
    {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55)}
    | {*range(61, 66), 71, 81, 82}
)
_REGION = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)
_SECTOR = re.compile(r"[A-T](?:[0-9]{2,4})?", re.ASCII)


def is_region_code(text: str) -> bool:
    """Whether `text` has the shape of a GB/T 2260 code; 100000 is the whole country."""
    match = _REGION.fullmatch(text)
    if match is None:
        return False
    province, city, district = match.groups()
    if text == "100000":
        return True
    return int(province) in _PROVINCES and not (city == "00" and district != "00")


def is_sector_code(text: str) -> bool:
    """Whether `text` has the shape of a GB/T 4754 code: a section, maybe 2 to 4 digits."""
    return _SECTOR.fullmatch(text) is not None
