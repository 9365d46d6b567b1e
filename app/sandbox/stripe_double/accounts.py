"""Accounts: connected Express accounts of providers, and the links by which they are set up."""

from __future__ import annotations

from app.sandbox.stripe_double.listing import page, whole_list
from app.sandbox.stripe_double.operation import get, post
from app.sandbox.stripe_double.parameters import (
    CURRENCY,
    FLAG,
    LISTED,
    METADATA,
    TEXT,
    URL,
    Spec,
    group,
    one_of,
    required,
)
from app.sandbox.stripe_double.refusals import invalid
from app.sandbox.stripe_double.world import PLATFORM, Call, Json, World

LINK_LIFE_S = 300
NEEDED = ["business_profile.url", "external_account", "tos_acceptance.date", "tos_acceptance.ip"]

_REQUESTED = group({"requested": FLAG})
CREATE: Spec = {
    "business_profile": group(
        {
            "mcc": TEXT,
            "name": TEXT,
            "product_description": TEXT,
            "support_email": TEXT,
            "support_phone": TEXT,
            "support_url": TEXT,
            "url": TEXT,
        }
    ),
    "business_type": one_of("company", "government_entity", "individual", "non_profit"),
    "capabilities": group({"card_payments": _REQUESTED, "transfers": _REQUESTED}),
    "company": group({"name": TEXT, "phone": TEXT, "tax_id": TEXT}),
    "controller": group(
        {
            "fees": group({"payer": one_of("account", "application")}),
            "losses": group({"payments": one_of("application", "stripe")}),
            "requirement_collection": one_of("application", "stripe"),
            "stripe_dashboard": group({"type": one_of("express", "full", "none")}),
        }
    ),
    "country": TEXT,
    "default_currency": CURRENCY,
    "email": TEXT,
    "metadata": METADATA,
    "type": one_of("custom", "express", "standard"),
}
LINK: Spec = {
    "account": required(TEXT),
    "refresh_url": URL,
    "return_url": URL,
    "type": required(one_of("account_onboarding", "account_update")),
}


def is_onboarded(account: Json) -> bool:
    """Whether it can receive transfers."""
    return bool(account["capabilities"].get("transfers") == "active")


def finish_onboarding(world: World, account_id: str) -> Json:
    """What the provider does behind an account link: everything asked for is given."""
    account = world.find("account", account_id)
    if account["details_submitted"]:
        return account
    account["capabilities"] = dict.fromkeys(account["capabilities"], "active")
    account |= {
        "charges_enabled": account["capabilities"].get("card_payments") == "active",
        "details_submitted": True,
        "payouts_enabled": True,
        "requirements": _requirements([]),
        "tos_acceptance": {"date": world.now_s(), "ip": "127.0.0.1", "user_agent": "sandbox"},
    }
    world.emit(Call(), "account.updated", account, owner=account_id)
    return account


def link_of(world: World, token: str) -> Json | None:
    """What is known of an unexpired account link, or None."""
    link = world.memory.hidden.get(token)
    if link is None or "expires_at" not in link or link["expires_at"] <= world.now_s():
        return None
    return link


def _create(world: World, call: Call) -> Json:
    given = call.params
    controller = given.get("controller")
    if controller and "type" in given:
        raise invalid("You may not provide the `type` parameter with `controller`.", param="type")
    kind = _kind(given)
    asked = given.get("capabilities", {})
    capabilities = {name: "inactive" for name in asked if asked[name].get("requested")}
    account = {
        "id": world.new_id("acct"),
        "object": "account",
        "business_profile": _business_profile(given.get("business_profile", {})),
        "business_type": given.get("business_type"),
        "capabilities": capabilities,
        "charges_enabled": False,
        "controller": {
            "fees": {"payer": "application"},
            "is_controller": True,
            "losses": {"payments": "application"},
            "requirement_collection": "stripe",
            "stripe_dashboard": {"type": kind if kind == "express" else "none"},
            "type": "application",
            **(controller or {}),
        },
        "country": given.get("country", "US"),
        "created": world.now_s(),
        "default_currency": given.get("default_currency", "cny"),
        "details_submitted": False,
        "email": given.get("email"),
        "external_accounts": {},
        "future_requirements": _requirements([]),
        "metadata": given.get("metadata", {}),
        "payouts_enabled": False,
        "requirements": _requirements(NEEDED),
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }
    account["external_accounts"] = whole_list(f"/v1/accounts/{account['id']}/external_accounts", [])
    return world.add(account)


def _kind(given: Json) -> str:
    if "type" in given:
        return str(given["type"])
    dashboard = given.get("controller", {}).get("stripe_dashboard", {}).get("type", "full")
    return {"express": "express", "full": "standard"}.get(dashboard, "none")


def _business_profile(given: Json) -> Json:
    address = ("city", "country", "line1", "line2", "postal_code", "state")
    return {
        "annual_revenue": {"amount": None, "currency": None, "fiscal_year_end": None},
        "estimated_worker_count": None,
        "mcc": None,
        "minority_owned_business_designation": None,
        "name": None,
        "product_description": None,
        "support_address": dict.fromkeys(address),
        "support_email": None,
        "support_phone": None,
        "support_url": None,
        "url": None,
        **given,
    }


def _requirements(due: list[str]) -> Json:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": list(due),
        "disabled_reason": "requirements.past_due" if due else None,
        "errors": [],
        "eventually_due": list(due),
        "past_due": [],
        "pending_verification": [],
    }


def _settings() -> Json:
    kana = ("statement_descriptor_prefix", "statement_descriptor_prefix_kana")
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": True, "cvc_failure": True},
            **dict.fromkeys((*kana, "statement_descriptor_prefix_kanji")),
        },
        "dashboard": {"display_name": None, "timezone": "Asia/Shanghai"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": dict.fromkeys(
            ("statement_descriptor", "statement_descriptor_kana", "statement_descriptor_kanji")
        ),
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


def _retrieve(world: World, call: Call) -> Json:
    return world.find("account", call.path["id"])


def _list(world: World, call: Call) -> Json:
    return page(world, call, "account", "/v1/accounts")


def _create_link(world: World, call: Call) -> Json:
    account = world.find("account", call.params["account"], PLATFORM, param="account")
    token = world.new_id("alink")
    link = {
        "account": account["id"],
        "expires_at": world.now_s() + LINK_LIFE_S,
        "return_url": call.params.get("return_url", ""),
    }
    world.memory.hidden[token] = link
    return {
        "object": "account_link",
        "created": world.now_s(),
        "expires_at": link["expires_at"],
        "url": f"{world.base_url}/setup/{token}",
    }


OPERATIONS = (
    post("/v1/accounts", _create, CREATE),
    get("/v1/accounts/{id}", _retrieve),
    get("/v1/accounts", _list, LISTED),
    post("/v1/account_links", _create_link, LINK),
)
