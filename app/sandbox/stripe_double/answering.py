"""Answering: from a request on the wire to the answer, by way of its key and its faults."""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from app.sandbox.stripe_double.faults import Fault, FaultKind, Faults
from app.sandbox.stripe_double.forms import Form, decode_form
from app.sandbox.stripe_double.keys import Keys, fingerprint, in_use
from app.sandbox.stripe_double.listing import expand
from app.sandbox.stripe_double.operation import Operation
from app.sandbox.stripe_double.operations import operation_at
from app.sandbox.stripe_double.parameters import read_parameters
from app.sandbox.stripe_double.refusals import StripeRefusal, invalid
from app.sandbox.stripe_double.world import API_VERSION, PLATFORM, Call, Json, World

JOURNAL_LENGTH = 10_000
PER_ACCOUNT = ("/v1/balance", "/v1/charges", "/v1/events", "/v1/payouts")
"""What may be asked in a connected account's name."""


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What came over the wire; header names are lower case, `form` is the query or the body."""

    method: str
    path: str
    form: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What goes back, unless `dropped`: then the connection ends without an answer."""

    status: int
    body: Json
    headers: Mapping[str, str]
    dropped: bool = False


class Answering:
    """Answers requests one by one, and keeps a journal of them: the observer of tests."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._keys = Keys(world)
        self.journal: deque[Json] = deque(maxlen=JOURNAL_LENGTH)

    async def answer(self, request: WireRequest) -> WireAnswer:
        """The answer to one request."""
        request_id = self._world.new_id("req")
        entry: Json = {
            "id": request_id,
            "method": request.method,
            "path": request.path,
            "key": request.headers.get("idempotency-key"),
            "account": request.headers.get("stripe-account", PLATFORM),
            "version": request.headers.get("stripe-version", API_VERSION),
            "form": {},
            "replayed": False,
        }
        self.journal.append(entry)
        fault = None
        try:
            demand_test_key(request.headers)
            _demand_ascii(entry)
            entry["form"] = decode_form(request.form)
            fault = self._faults.take(request.method, request.path)
            status, body = await self._execute(entry, fault)
        except StripeRefusal as refusal:
            status, body = refusal.status, refusal.body(request_id)
        kind = fault.kind if fault else None
        if fault and kind in (FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER):
            await asyncio.sleep(fault.seconds)
        elif kind is FaultKind.ERROR_AFTER:
            status, body = 500, _server_error().body(request_id)
        entry["status"] = status
        dropped = kind in (FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER)
        return WireAnswer(status, body, self._headers(entry), dropped)

    async def _execute(self, entry: Json, fault: Fault | None) -> tuple[int, Json]:
        _fail_before(fault)
        method, path, form = entry["method"], entry["path"], entry["form"]
        operation, parts = operation_at(method, path)
        account = entry["account"]
        if account:
            self._demand_account(account, path)
        key = f"{account} {entry['key']}" if entry["key"] and method == "POST" else ""
        asked = fingerprint(method, path, form)
        with self._keys.at_work(key) if key else nullcontext():
            if fault and fault.kind is FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
            kept = self._keys.kept(key, asked) if key else None
            if kept is not None:
                entry["replayed"] = True
                return kept["status"], kept["body"]
            executed, status, body = self._run(operation, parts, form, entry)
            if fault and fault.kind is FaultKind.ERROR_KEPT:
                status, body = 500, _server_error().body(entry["id"])
            if key and executed:
                # A copy: the objects inside go on changing, the answer does not.
                self._keys.keep(key, asked, {"status": status, "body": copy.deepcopy(body)})
        return status, body

    def _demand_account(self, account: str, path: str) -> None:
        """Refuse `Stripe-Account` where it names nobody, or where it would be passed over."""
        self._world.find("account", account)
        if not path.startswith(PER_ACCOUNT):
            raise invalid("The sandbox does not do this on behalf of a connected account.")

    def _run(
        self, operation: Operation, parts: Mapping[str, str], form: Form, entry: Json
    ) -> tuple[bool, int, Json]:
        """Whether it was executed, and its status and body."""
        try:
            call = Call(
                path=parts,
                params=read_parameters(form, operation.spec),
                account=entry["account"],
                version=entry["version"],
                key=entry["key"],
                request_id=entry["id"],
            )
            body = operation.handle(self._world, call)
            for path in call.params.get("expand", ()):
                body = expand(self._world, body, path)
        except StripeRefusal as refusal:
            return refusal.executed, refusal.status, refusal.body(entry["id"])
        return True, 200, body

    def _headers(self, entry: Json) -> Mapping[str, str]:
        headers = {"Request-Id": entry["id"], "Stripe-Version": entry["version"]}
        if entry["key"]:
            headers["Idempotency-Key"] = entry["key"]
        if entry["replayed"]:
            headers["Idempotent-Replayed"] = "true"
        return headers


def demand_test_key(headers: Mapping[str, str]) -> None:
    """Refuse a request without a test key; a live key has no business here."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if given.startswith(("sk_live_", "rk_live_")):
        message = "This is a sandbox double of Stripe. Never give it a live key."
    elif scheme.lower() not in ("basic", "bearer"):
        message = "You did not provide an API key."
    elif not given.startswith(("sk_test_", "rk_test_")):
        message = "Invalid API Key provided."
    else:
        return
    raise StripeRefusal(401, "invalid_request_error", message)


def _demand_ascii(entry: Json) -> None:
    """Refuse headers that could neither be kept nor sent back."""
    for name in ("key", "account", "version"):
        if not (entry[name] or "").isascii():
            entry[name] = None if name == "key" else PLATFORM if name == "account" else API_VERSION
            raise StripeRefusal(400, "invalid_request_error", "A header is not ASCII.")


def _fail_before(fault: Fault | None) -> None:
    match fault.kind if fault else None:
        case FaultKind.CONFLICT:
            raise in_use()
        case FaultKind.RATE_LIMIT:
            raise StripeRefusal(
                429, "invalid_request_error", "Too many requests.", code="rate_limit"
            )
        case FaultKind.ERROR_BEFORE | FaultKind.TIMEOUT_BEFORE:
            raise _server_error()


def _server_error() -> StripeRefusal:
    return StripeRefusal(500, "api_error", "An unknown error occurred.")
