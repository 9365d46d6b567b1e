"""A client acts for its own organisation: the token endpoint by RFC 6749 §4.4 and §5.2."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from httpx import Response

from tests.accounts.conftest import Parties

TOKEN = "/oauth/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    text = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def ask(parties: Parties, headers: dict[str, str], **fields: str) -> Response:
    return parties.api.anonymous().post(
        TOKEN,
        content=urlencode({"grant_type": "client_credentials", **fields}),
        headers={**FORM, **headers},
    )


def is_refused(answer: Response, error: str, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == error
    assert set(answer.json()) <= {"error", "error_description"}


def test_a_client_gets_a_token_for_all_its_scopes_or_fewer(parties: Parties) -> None:
    one = parties.organisation()
    made = parties.client(one, scopes=["listings:read", "data:read", "organisations:read"])
    auth = basic(made["client_id"], made["client_secret"])
    answer = ask(parties, auth)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert body["scope"] == "listings:read data:read organisations:read"
    me = parties.api.with_token(body["access_token"]).get("/api/v1/me").json()
    assert me["organisation_id"] == one
    assert me["client_id"] == me["id"] == made["client_id"]
    assert me["scopes"] == body["scope"].split()
    assert me["roles"] == []
    fewer = ask(parties, auth, scope="data:read").json()
    assert fewer["scope"] == "data:read"
    narrow = parties.api.with_token(fewer["access_token"])
    assert narrow.get(f"/api/v1/organisations/{one}").status_code == 403


def test_the_first_client_of_the_operator_may_do_everything(parties: Parties) -> None:
    operator = parties.operator
    answer = ask(parties, basic(operator.client_id, operator.client_secret))
    token = parties.api.with_token(answer.json()["access_token"])
    assert token.post("/api/v1/organisations", json=parties.body()).status_code == 201
    assert token.get("/api/v1/me").json()["roles"] == ["admin", "auditor", "reviewer", "signer"]


@pytest.mark.parametrize(
    "scope", ["admin", "data:read admin", "data:read  listings:read", "root", "DATA:READ"]
)
def test_a_scope_that_the_client_lacks_is_refused(parties: Parties, scope: str) -> None:
    made = parties.client(parties.organisation(), scopes=["data:read", "listings:read"])
    auth = basic(made["client_id"], made["client_secret"])
    is_refused(ask(parties, auth, scope=scope), "invalid_scope", 400)


def test_every_way_to_fail_authentication_looks_the_same(parties: Parties) -> None:
    one = parties.organisation()
    made = parties.client(one)
    public = parties.client(one, auth_method="none", redirect_uris=["https://a.example/cb"])
    gone = parties.client(one)
    path = f"/api/v1/organisations/{one}/clients/{gone['client_id']}/revoke"
    parties.own(one).post(path)
    client_id, secret = made["client_id"], made["client_secret"]
    tries: list[dict[str, str]] = [
        {},
        basic(client_id, secret + "x"),
        basic(client_id, ""),
        basic("", secret),
        basic("cli_01k8zzzzzzzzzzzzzzzzzzzzzz", secret),
        basic("cli_\x00", secret),
        basic("\u00e9", "\u00e9"),
        basic(gone["client_id"], gone["client_secret"]),
        basic(public["client_id"], ""),
        basic(public["client_id"], "x"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ===="},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"nocolon").decode()},
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Negotiate x"},
    ]
    answers = [ask(parties, headers) for headers in tries]
    answers += [
        ask(parties, {}, client_id=client_id, client_secret=secret),
        ask(parties, basic(client_id, secret), client_secret=secret),
        ask(parties, basic(client_id, secret), client_id=public["client_id"]),
        ask(parties, {}, client_id=public["client_id"]),
    ]
    for answer in answers:
        is_refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"] == 'Basic realm="zhigu", charset="UTF-8"'
    assert len({answer.text for answer in answers}) == 1


def test_a_rotated_secret_takes_over_at_once(parties: Parties) -> None:
    one = parties.organisation()
    made = parties.client(one)
    path = f"/api/v1/organisations/{one}/clients/{made['client_id']}"
    fresh = parties.own(one).post(f"{path}/rotate-secret").json()["client_secret"]
    old = ask(parties, basic(made["client_id"], made["client_secret"]))
    is_refused(old, "invalid_client", 401)
    assert ask(parties, basic(made["client_id"], fresh)).status_code == 200


def test_what_was_ended_ends_its_tokens_at_once(parties: Parties) -> None:
    one, two = parties.organisation(), parties.organisation()
    first, second = parties.client(one), parties.client(two)
    tokens = []
    for made in (first, second):
        answer = ask(parties, basic(made["client_id"], made["client_secret"]))
        tokens.append(parties.api.with_token(answer.json()["access_token"]))
    path = f"/api/v1/organisations/{one}/clients/{first['client_id']}/revoke"
    assert tokens[0].post(path).status_code == 200
    suspended = parties.admin().post(f"/api/v1/organisations/{two}/suspend", json={"reason": "x"})
    assert suspended.status_code == 200
    for token in tokens:
        answer = token.get("/api/v1/me")
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    again = ask(parties, basic(second["client_id"], second["client_secret"]))
    is_refused(again, "invalid_client", 401)


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        ("", FORM, "unsupported_grant_type"),
        ("grant_type=password&username=a&password=b", FORM, "unsupported_grant_type"),
        ("grant_type=password&username=x&password=y", FORM, "unsupported_grant_type"),
        ("grant_type=%22%5C", FORM, "invalid_request"),
        ("grant_type=%E2%82%AC", FORM, "invalid_request"),
        ("grant_type=%FF", FORM, "invalid_request"),
        ("grant_type=%00", FORM, "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", FORM, "invalid_request"),
        ("grant_type=client_credentials&x=1&x=2", FORM, "invalid_request"),
        ("grant_type=client_credentials", {"Content-Type": "text/plain"}, "invalid_request"),
        (
            '{"grant_type": "client_credentials"}',
            {"Content-Type": "application/json"},
            "invalid_request",
        ),
        ("&".join(f"a{n}=1" for n in range(60)), FORM, "invalid_request"),
        ("a=" + "x" * 20_000, FORM, "invalid_request"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_request_that_cannot_be_read_is_told_so_as_oauth_wants_it(
    parties: Parties, body: str, headers: dict[str, str], error: str
) -> None:
    made = parties.client(parties.organisation())
    auth = basic(made["client_id"], made["client_secret"])
    answer = parties.api.anonymous().post(TOKEN, content=body, headers={**headers, **auth})
    is_refused(answer, error, 400)


def test_parameters_in_the_query_are_refused(parties: Parties) -> None:
    made = parties.client(parties.organisation())
    answer = parties.api.anonymous().post(
        f"{TOKEN}?grant_type=client_credentials",
        content="grant_type=client_credentials",
        headers={**FORM, **basic(made["client_id"], made["client_secret"])},
    )
    is_refused(answer, "invalid_request", 400)


def test_a_body_that_is_too_large_is_told_so_as_oauth_wants_it(parties: Parties) -> None:
    answer = parties.api.anonymous().post(TOKEN, content=b"a" * 2_000_000, headers=FORM)
    is_refused(answer, "invalid_request", 413)


def test_a_client_takes_back_its_own_tokens_only(parties: Parties) -> None:
    one = parties.organisation()
    first, second = parties.client(one), parties.client(one)
    auths = [basic(made["client_id"], made["client_secret"]) for made in (first, second)]
    token = ask(parties, auths[0]).json()["access_token"]
    bearer = parties.api.with_token(token)

    def revoke(auth: dict[str, str], **fields: str) -> Response:
        return parties.api.anonymous().post(
            "/oauth/revoke", content=urlencode(fields), headers={**FORM, **auth}
        )

    assert revoke(auths[1], token=token).status_code == 200
    assert bearer.get("/api/v1/me").status_code == 200
    is_refused(revoke({}, token=token), "invalid_client", 401)
    is_refused(revoke(auths[0]), "invalid_request", 400)
    for _ in range(2):
        assert revoke(auths[0], token=token, token_type_hint="access_token").status_code == 200
        assert bearer.get("/api/v1/me").status_code == 401
    assert revoke(auths[0], token="nonsense").status_code == 200
    assert parties.api.with_token(token + "=").get("/api/v1/me").status_code == 401
    assert parties.api.with_token(token + "==").get("/api/v1/me").status_code == 401


def test_the_metadata_names_only_what_there_is(parties: Parties) -> None:
    anonymous = parties.api.anonymous()
    first = anonymous.get("/.well-known/oauth-authorization-server").json()
    assert first == anonymous.get("/.well-known/openid-configuration").json()
    issuer = first["issuer"]
    assert issuer == "http://127.0.0.1:8000"
    paths = {
        name: url.removeprefix(issuer)
        for name, url in first.items()
        if "_endpoint" in name and isinstance(url, str)
    }
    assert paths == {
        "authorization_endpoint": "/oauth/authorize",
        "token_endpoint": "/oauth/token",
        "revocation_endpoint": "/oauth/revoke",
        "introspection_endpoint": "/oauth/introspect",
        "registration_endpoint": "/oauth/register",
    }
    assert anonymous.get("/oauth/authorize").status_code == 400
    for path in ("/oauth/token", "/oauth/revoke"):
        assert anonymous.post(path).json()["error"] == "invalid_request"
    made = parties.client(parties.organisation())
    ask(parties, basic(made["client_id"], made["client_secret"]))
    keys = anonymous.get(first["jwks_uri"].removeprefix(issuer)).json()["keys"]
    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x"]]
