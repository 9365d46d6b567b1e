"""Recurring work: verifications lapse, and what has lapsed is forgotten."""

from __future__ import annotations

from app.accounts.key_proving import forget_nonces
from app.accounts.oauth.forgetting import forget_lapsed
from app.accounts.verifying import expire_verifications
from app.jobs.kinds import Recurring

SCHEDULE = (
    Recurring("accounts.expire", lambda _installation: 300.0, expire_verifications),
    Recurring("accounts.sweep_nonces", lambda _installation: 3600.0, forget_nonces),
    Recurring("accounts.sweep_sign_ins", lambda _installation: 3600.0, forget_lapsed),
)
