"""Attaching: an organisation names its provider; the secret stays sealed, the log is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import import_key
from sqlmodel import col, select

from app.accounts.checking import problems
from app.accounts.identity_providers.attaching import seal_purpose
from app.accounts.identity_providers.models import IdentityProvider, MailDomain
from app.audit.models import Leaf
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.conftest import Parties
from tests.accounts.identity_providers.company import CLIENT_ID, SECRET, Company
from tests.accounts.identity_providers.conftest import BUYERS, DOMAIN, OWNERS, Firm, firm_of


def slug(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_provider_is_shown_without_its_secret_and_kept_with_it_sealed(
    bare_firm: Firm, installation: Installation
) -> None:
    shown = bare_firm.attach()
    assert shown == bare_firm.own().get(bare_firm.path).json()
    assert (shown["state"], shown["client_id"]) == ("attached", CLIENT_ID)
    assert shown["redirect_uri"] == "http://127.0.0.1:8000/oauth/company/callback"
    assert shown["roles"] == [OWNERS, BUYERS]
    (domain,) = shown["domains"]
    assert (domain["domain"], domain["state"]) == (DOMAIN, "claimed")
    assert domain["proof"].startswith("zhigu-domain=")
    assert SECRET not in json.dumps(shown)
    with installation.transaction(OPERATOR, writes=False) as session:
        row = session.exec(select(IdentityProvider)).one()
        assert SECRET not in row.sealed_credential
        opened = installation.keys.unseal(row.sealed_credential, seal_purpose(row.id))
        assert opened.decode() == SECRET
        told = session.exec(select(Leaf.body).where(Leaf.subject_id == row.id)).all()
        assert SECRET not in "".join(map(str, told))


def test_what_is_left_out_of_the_secret_stays_and_the_rest_is_replaced(
    firm: Firm, installation: Installation
) -> None:
    before = firm.attach()
    changed = firm.attach(client_secret=None, roles=[BUYERS], password_allowed=False)
    assert changed["id"] == before["id"]
    assert (changed["roles"], changed["password_allowed"]) == ([BUYERS], False)
    assert [one["state"] for one in changed["domains"]] == ["confirmed"]
    assert firm.come_back().status_code == 303
    with installation.transaction(OPERATOR, writes=False) as session:
        leaves = select(Leaf.kind).where(Leaf.subject_id == before["id"]).order_by(col(Leaf.id))
        kinds = session.exec(leaves).all()
    attached, changed_leaf = "identity_provider:attached", "identity_provider:changed"
    assert list(kinds) == [attached, changed_leaf, changed_leaf]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_our_secret_is_shown_to_the_provider_in_the_way_that_it_asks_for(
    firm: Firm, company: Company, method: str
) -> None:
    firm.attach(auth_method=method)
    assert firm.come_back().status_code == 303
    _, headers, form = company.asked[-1]
    basic = method == "client_secret_basic"
    assert ("Authorization" in headers) is basic
    assert form.get("client_secret") == (None if basic else SECRET)


def test_with_a_key_the_provider_gets_an_assertion_and_nobody_a_secret(
    bare_firm: Firm, company: Company
) -> None:
    shown = bare_firm.attach(auth_method="private_key_jwt", client_secret=None)
    assert "d" not in shown["client_jwk"]
    assert bare_firm.attach(auth_method="private_key_jwt", client_secret=None) == shown
    bare_firm.confirm()
    assert bare_firm.come_back().status_code == 303
    _, headers, form = company.asked[-1]
    assert "Authorization" not in headers
    assert form["client_assertion_type"].endswith(":jwt-bearer")
    key = import_key(shown["client_jwk"])
    assertion = jwt.decode(form["client_assertion"], key, algorithms=["ES256"])
    assert assertion.header["kid"] == shown["client_jwk"]["kid"]
    told = assertion.claims
    assert (told["iss"], told["sub"]) == (CLIENT_ID, CLIENT_ID)
    assert told["aud"] == f"{company.issuer}/token"
    assert told["exp"] - company.now_s() == 60


def test_a_secret_is_there_where_it_is_due_and_nowhere_else(bare_firm: Firm) -> None:
    for changes in (
        {"client_secret": None},
        {"auth_method": "private_key_jwt"},
        {"role_claim": None},
        {"roles": []},
    ):
        answer = bare_firm.put(**changes)
        assert (answer.status_code, slug(answer)) == (400, "identity-provider-malformed"), changes
    bare_firm.attach(auth_method="private_key_jwt", client_secret=None)
    assert bare_firm.put(client_secret=None).status_code == 400


def test_nobody_maps_a_role_that_they_could_not_give(bare_firm: Firm, parties: Parties) -> None:
    admin = {"value": "root", "role": "admin"}
    answer = bare_firm.put(roles=[admin])
    assert (answer.status_code, slug(answer)) == (403, "operator-only")
    poor = parties.own(bare_firm.organisation_id, "organisations:write")
    answer = poor.put(bare_firm.path, json=bare_firm.wish())
    assert (answer.status_code, slug(answer)) == (403, "scope-not-yours-to-give")


def test_a_domain_belongs_to_whom_it_was_confirmed_for(
    firm: Firm, parties: Parties, company: Company
) -> None:
    other = firm_of(parties, company)
    other.attach()
    answer = other.confirm()
    assert (answer.status_code, slug(answer)) == (422, "mail-domain-taken")
    assert firm.confirm().status_code == 200
    firm.attach(domains=[])
    assert other.confirm().status_code == 200
    assert other.confirm("unclaimed.example").status_code == 404


def test_another_issuer_is_another_provider(
    firm: Firm, company: Company, installation: Installation
) -> None:
    me, before = firm.arrive(), firm.attach()
    company.issuer = f"{company.issuer}/two"
    company.respond["/two/.well-known/openid-configuration"] = lambda: (
        200,
        {},
        json.dumps(company.configuration()).encode(),
    )
    company.announced = {
        "authorization_endpoint": f"http://127.0.0.1:{company.port}/authorize",
        "token_endpoint": f"http://127.0.0.1:{company.port}/token",
        "jwks_uri": f"http://127.0.0.1:{company.port}/keys",
    }
    after = firm.attach()
    assert after["id"] != before["id"]
    assert [one["state"] for one in after["domains"]] == ["confirmed"]
    assert firm.parties.api.with_token(me["token"]).get("/api/v1/me").status_code == 401
    assert firm.arrive()["id"] == me["id"]
    with installation.transaction(OPERATOR, writes=False) as session:
        assert list(problems(session)) == []


ANNOUNCED: dict[str, dict[str, Any]] = {
    "issuer": {"issuer": "https://evil.example"},
    "response_types": {"response_types_supported": ["id_token"]},
    "algorithms": {"id_token_signing_alg_values_supported": ["none", "HS256", "ES512"]},
    "pkce": {"code_challenge_methods_supported": ["plain"]},
    "auth_method": {"token_endpoint_auth_methods_supported": ["tls_client_auth"]},
    "https": {"token_endpoint": "http://login.example/token"},
    "https again": {"jwks_uri": "http://127.0.0.1:9/keys"},
    "address": {"authorization_endpoint": "javascript:alert(1)"},
    "address again": {"authorization_endpoint": "https://login.example/a?b=<x>"},
    "address too": {"token_endpoint": "https://user@login.example/token"},
    "document": {"jwks_uri": 5},
    "document too": {"response_types_supported": ["code", "\x00"]},
    "document again": {"token_endpoint_auth_methods_supported": ["x" * 201]},
}


@pytest.mark.parametrize("reason", ANNOUNCED)
def test_what_a_provider_announces_must_do(bare_firm: Firm, company: Company, reason: str) -> None:
    company.announced = ANNOUNCED[reason]
    answer = bare_firm.put()
    assert (answer.status_code, slug(answer)) == (422, "identity-provider-refused"), answer.text
    assert answer.json()["reason"] == reason.split()[0]


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri"])
def test_no_endpoint_lies_within_our_network(
    bare_firm: Firm, company: Company, endpoint: str
) -> None:
    for host in ("10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "localhost"):
        company.announced = {endpoint: f"https://{host}/"}
        answer = bare_firm.put()
        assert (answer.status_code, slug(answer)) == (422, "address-refused"), host


@pytest.mark.parametrize(
    ("issuer", "slug_of_it"),
    [
        ("https://10.0.0.1", "address-refused"),
        ("https://localhost", "address-refused"),
        ("https://169.254.169.254/latest", "address-refused"),
        ("http://login.example", "identity-provider-refused"),
        ("http://127.0.0.1:9", "identity-provider-refused"),
        ("https://login.example/?a=b", "identity-provider-refused"),
        ("https://user@login.example", "identity-provider-refused"),
        ("https://login.example/#a", "identity-provider-refused"),
    ],
)
def test_an_issuer_that_we_may_not_ask_is_refused_unasked(
    bare_firm: Firm, issuer: str, slug_of_it: str
) -> None:
    answer = bare_firm.put(issuer=issuer)
    assert (answer.status_code, slug(answer)) == (422, slug_of_it), answer.text


RESPONSES: list[tuple[str, int, bytes, int]] = [
    ("/.well-known/openid-configuration", 302, b"", 422),
    ("/.well-known/openid-configuration", 404, b"", 422),
    ("/.well-known/openid-configuration", 200, b"<html>", 422),
    ("/.well-known/openid-configuration", 200, b"[" * 200_000, 422),
    ("/.well-known/openid-configuration", 200, b" " * 300_000, 422),
    ("/.well-known/openid-configuration", 500, b"", 503),
    ("/keys", 302, b"", 422),
    ("/keys", 200, b"{}", 422),
    ("/keys", 200, b'{"keys": []}', 422),
    ("/keys", 200, json.dumps({"keys": [{}] * 101}).encode(), 422),
    ("/keys", 200, b" " * 300_000, 422),
    ("/keys", 503, b"", 503),
]


@pytest.mark.parametrize(
    ("path", "status", "body", "told"), RESPONSES, ids=lambda one: str(one)[:30]
)
def test_a_provider_that_cannot_be_read_is_not_attached(
    firm: Firm, company: Company, path: str, status: int, body: bytes, told: int
) -> None:
    before = firm.own().get(firm.path).json()
    elsewhere = {"Location": f"{company.issuer}/keys"}
    company.respond[path] = lambda: (status, elsewhere, body)
    assert firm.put(client_id="another").status_code == told
    assert firm.own().get(firm.path).json() == before


def test_a_provider_that_is_away_is_not_attached(bare_firm: Firm, company: Company) -> None:
    company.stop()
    answer = bare_firm.put()
    assert (answer.status_code, slug(answer)) == (503, "identity-provider-away")
    assert bare_firm.own().get(bare_firm.path).status_code == 404
    assert bare_firm.own().request("DELETE", bare_firm.path).status_code == 404


BREAKS = {
    "is not as the log says": sa.update(IdentityProvider).values(password_allowed=False),
    "was not detached as the log says": sa.update(IdentityProvider).values(
        detached_at=col(IdentityProvider.attached_at), detached_by="x"
    ),
    "was confirmed without a leaf": sa.update(MailDomain).values(
        confirmed_at=col(MailDomain.claimed_at), confirmed_by="x", proof="y"
    ),
    "was claimed without a leaf": sa.update(MailDomain).values(domain="other.example"),
    "was bound to an identity without a leaf": sa.text(
        "UPDATE known_identity SET subject = 'emp-2'"
    ),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_fsck_names_a_row_that_the_log_does_not_know(
    firm: Firm, installation: Installation, sentence: str
) -> None:
    firm.arrive()
    with installation.transaction(OPERATOR) as session:
        assert list(problems(session)) == []
        session.execute(BREAKS[sentence])
        (found,) = problems(session)
    assert found.startswith("A1: ")
    assert sentence in found
