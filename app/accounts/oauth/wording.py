"""Words of the sign-in pages, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["zh-CN", "en"]

WORDS: Mapping[Language, Mapping[str, str]] = {
    "zh-CN": {
        "product": "智谷数据流通服务平台",
        "sign_in": "登录",
        "sign_in_title": "登录智谷",
        "sign_in_for": "登录后继续使用",
        "email_address": "电子邮箱",
        "password": "密码",
        "refused": "邮箱或密码不正确。",
        "too_many": "尝试次数过多，请在{wait}后再试。",
        "seconds": " {count} 秒",
        "minutes": " {count} 分钟",
        "stale": "页面已过期，请重新填写。",
        "reset_title": "设置新密码",
        "reset_rule": "至少 {count} 个字符，不限组成；请勿使用姓名、邮箱或常见密码。",
        "new_password": "新密码",
        "new_password_again": "再次输入新密码",
        "set_password": "保存新密码",
        "password_weak": "新密码太短或太容易被猜到。",
        "passwords_differ": "两次输入的密码不一致。",
        "reset_not_good": "链接无效或已失效，请联系机构管理员重新获取。",
        "reset_done_title": "新密码已保存",
        "reset_done": "所有已登录的设备均已退出。请返回应用，用新密码登录。",
        "company": "使用企业账号登录",
        "company_title": "使用企业账号登录",
        "company_hint": "请输入工作邮箱，我们会带您前往贵单位自己的登录页面。",
        "company_unknown": "该邮箱域名未开通企业登录，请使用密码登录。",
        "company_going_title": "正在前往贵单位的登录页面",
        "company_going": "如果没有自动跳转，请点击：",
        "company_failed_title": "企业登录未完成",
        "company_away": "贵单位的登录服务暂时没有响应，请稍后再试。",
        "company_refused": "贵单位的登录服务未能确认您的身份。请重试，或联系贵单位的管理员。",
        "company_no_role": "贵单位尚未为您分配智谷的角色，请联系贵单位的管理员。",
        "company_stale": "这次登录已过期，或不是在此浏览器中开始的，请重新登录。",
        "continue": "继续",
        "try_again": "重新登录",
        "with_password": "使用密码登录",
        "consent_title": "授权确认",
        "consent_asks": "申请以您的身份访问智谷",
        "provided_by": "提供方",
        "signed_in_as": "当前登录",
        "may": "同意后，该应用可以：",
        "withheld": "以下权限超出您的角色，不会授予：",
        "then": "完成后将返回",
        "allow": "同意并继续",
        "deny": "拒绝",
        "other_account": "使用其他账号",
        "failed_title": "无法继续",
        "failed_request": "这个登录请求不完整或不可信，因此没有跳转。请返回应用重新开始。",
        "failed_hint": "如果问题仍然存在，请把下面的编号告诉应用的提供方。",
        "openid": "确认您的身份",
        "profile": "查看您的姓名、角色与所属机构",
        "email": "查看您的电子邮箱",
        "offline_access": "在您离开后继续访问，直至您收回授权",
        "listings:read": "查看数据目录与产品",
        "listings:write": "发布和修改数据产品",
        "contracts:read": "查看合约与协商",
        "contracts:write": "发起和处理合约协商",
        "contracts:sign": "代表机构签署合约",
        "data:read": "按合约调用数据",
        "usage:read": "查看用量",
        "usage:write": "上报用量",
        "billing:read": "查看账单与结算",
        "billing:write": "支付与处理账单",
        "audit:read": "查看审计记录",
        "organisations:read": "查看机构信息",
        "organisations:write": "管理机构、成员与应用",
        "admin": "管理整个平台",
    },
    "en": {
        "product": "Zhigu data circulation platform",
        "sign_in": "Sign in",
        "sign_in_title": "Sign in to Zhigu",
        "sign_in_for": "to continue to",
        "email_address": "Email address",
        "password": "Password",
        "refused": "The email address or the password is not right.",
        "too_many": "Too many tries. Please try again in {wait}.",
        "seconds": "{count} seconds",
        "minutes": "{count} minutes",
        "stale": "The page had expired. Please fill it in again.",
        "reset_title": "Set a new password",
        "reset_rule": "At least {count} characters of any kind; not your name, your email or a "
        "common password.",
        "new_password": "New password",
        "new_password_again": "New password again",
        "set_password": "Save the new password",
        "password_weak": "The new password is too short or too easily guessed.",
        "passwords_differ": "The two passwords are not the same.",
        "reset_not_good": "The link does not work, or no longer. Ask your organisation's owner "
        "for another one.",
        "reset_done_title": "The new password is saved",
        "reset_done": "Every device that was signed in is signed out. Go back to the application "
        "and sign in with the new password.",
        "company": "Sign in with your company",
        "company_title": "Sign in with your company",
        "company_hint": "Enter your work email, and we take you to your company's own sign-in.",
        "company_unknown": "No company sign-in is set up for this address. Use a password instead.",
        "company_going_title": "Going to your company's sign-in",
        "company_going": "If nothing happens, follow this link:",
        "company_failed_title": "Not signed in",
        "company_away": "Your company's sign-in does not answer just now. Please try again later.",
        "company_refused": "Your company's sign-in did not confirm who you are. Try again; if that "
        "does not help, ask your company's administrator.",
        "company_no_role": "Your company has given you no role in Zhigu. Ask its administrator.",
        "company_stale": "This sign-in has expired, or did not begin in this browser. Please start "
        "again.",
        "continue": "Continue",
        "try_again": "Sign in again",
        "with_password": "Sign in with a password",
        "consent_title": "Allow access",
        "consent_asks": "asks to act in Zhigu on your behalf",
        "provided_by": "Provided by",
        "signed_in_as": "Signed in as",
        "may": "If you agree, the application may:",
        "withheld": "Beyond your role, and not given:",
        "then": "You will return to",
        "allow": "Agree and continue",
        "deny": "Refuse",
        "other_account": "Use another account",
        "failed_title": "We cannot go on",
        "failed_request": "This sign-in request is incomplete or cannot be trusted, so you were "
        "not sent anywhere. Go back to the application and start again.",
        "failed_hint": "If it happens again, tell the application's provider this number.",
        "openid": "Know that it is you",
        "profile": "See your name, role and organisation",
        "email": "See your email address",
        "offline_access": "Go on while you are away, until you take it back",
        "listings:read": "See the catalogue and its products",
        "listings:write": "Publish and change data products",
        "contracts:read": "See contracts and negotiations",
        "contracts:write": "Open and carry on negotiations",
        "contracts:sign": "Sign contracts for the organisation",
        "data:read": "Call data under contracts",
        "usage:read": "See usage",
        "usage:write": "Report usage",
        "billing:read": "See invoices and settlement",
        "billing:write": "Pay and handle invoices",
        "audit:read": "See the audit trail",
        "organisations:read": "See the organisation",
        "organisations:write": "Manage the organisation, its people and applications",
        "admin": "Manage the whole platform",
    },
}


def choose_language(accept_language: str | None) -> Language:
    """The language that a browser likes better (RFC 9110 §12.5.4); Chinese if it does not say."""
    best: tuple[float, Language] = (0.0, "zh-CN")
    for part in (accept_language or "").split(",")[:20]:
        tag, _, weight = part.strip().lower().partition(";")
        language = _language_of(tag.strip())
        quality = _quality(weight)
        if language is not None and quality > best[0]:
            best = (quality, language)
    return best[1]


def say_wait(language: Language, wait_s: int) -> str:
    """How long `wait_s` seconds are, for a person: never shorter, and never just one of a thing."""
    if wait_s <= 90:
        return WORDS[language]["seconds"].format(count=10 * -(-wait_s // 10))
    return WORDS[language]["minutes"].format(count=-(-wait_s // 60))


def _language_of(tag: str) -> Language | None:
    primary = tag.partition("-")[0]
    if primary in ("zh", "*"):
        return "zh-CN"
    return "en" if primary == "en" else None


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
