"""Legal rules: what a gate cites. Dated rows, because laws change; the newest in force counts.

Checked in 2026. A rule that changes gets a second row with the day from which it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class LegalRule:
    """One basis, in force from `since` to `until` (both included; None: open)."""

    code: str
    document: str
    article: str
    since: date
    until: date | None = None

    def in_force(self, on: date) -> bool:
        """Whether the rule holds on that day."""
        return self.since <= on and (self.until is None or on <= self.until)

    @property
    def citation(self) -> str:
        """The rule as a gate's `basis` names it."""
        return f"{self.document} {self.article}"


LEGAL_RULES: tuple[LegalRule, ...] = (
    LegalRule("description", "GB/T 36343 (aligned with)", "元数据", date(2018, 6, 7)),
    LegalRule("source", "数据安全法", "第三十二条、第三十三条", date(2021, 9, 1)),
    LegalRule("level", "数据安全法", "第二十一条", date(2021, 9, 1)),
    LegalRule("important", "网络数据安全管理条例", "第二十九条、第三十一条", date(2025, 1, 1)),
    LegalRule("personal", "个人信息保护法", "第十三条、第二十三条", date(2021, 11, 1)),
    LegalRule("assessment", "个人信息保护法", "第五十五条", date(2021, 11, 1)),
    LegalRule("anonymised", "个人信息保护法", "第七十三条", date(2021, 11, 1)),
    LegalRule("minors", "个人信息保护法", "第二十八条、第三十一条", date(2021, 11, 1)),
    LegalRule("secrets", "数据安全法", "第五十一条", date(2021, 9, 1)),
    LegalRule("government", "数据安全法", "第三十八条至第四十条", date(2021, 9, 1)),
    LegalRule("price", "发改价格〔2025〕65号", "公共数据资源授权运营价格", date(2025, 1, 8)),
    LegalRule("rights", "数据二十条", "（三）三权分置", date(2022, 12, 2)),
    LegalRule("contract", "数据安全法", "第二十七条", date(2021, 9, 1)),
)


def basis(code: str, on: date, rules: Iterable[LegalRule] = LEGAL_RULES) -> str:
    """The citation of the newest rule named `code` in force on that day; `""` before the first."""
    held = [rule for rule in rules if rule.code == code and rule.in_force(on)]
    return max(held, key=lambda rule: rule.since).citation if held else ""
