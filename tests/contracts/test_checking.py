"""Fsck of contracts: break one row by SQL, and it names that row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from app.contracts.checking import problems
from app.kernel.actor import OPERATOR
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.jws import TERMS_TYPE, sign_detached
from tests.contracts.market import Market


def found(market: Market) -> list[str]:
    with market.installation.transaction(OPERATOR, writes=False) as session:
        return list(problems(session))


@dataclass
class Broken:
    """A market with one contract and one open negotiation, and SQL to break it."""

    market: Market
    contract: dict[str, Any]
    open_id: str

    def run(self, statement: str, **values: Any) -> None:
        with self.market.installation.market.begin() as connection:
            result = connection.execute(text(statement), values)
            assert result.rowcount == 1, statement

    @property
    def signature_ids(self) -> dict[str, str]:
        return {signature["side"]: signature["id"] for signature in self.contract["signatures"]}


@pytest.fixture
def broken(market: Market) -> Broken:
    contract = market.contract()
    open_id = market.request()
    assert found(market) == []
    return Broken(market, contract, open_id)


def test_altered_bytes_of_signed_terms_are_named(broken: Broken) -> None:
    broken.run(
        "UPDATE terms_version SET canonical = :data WHERE sha256 = :sha256",
        data=b"{}",
        sha256=broken.contract["terms_sha256"],
    )
    named = found(broken.market)
    assert named[0] == (
        f"C1: the bytes of terms 1 of {broken.contract['negotiation_id']} do not hash to their name"
    )
    assert sum("does not hold" in problem for problem in named) == 2


def test_an_altered_document_beside_true_bytes_is_named(broken: Broken) -> None:
    path = f"/api/v1/negotiations/{broken.open_id}/terms"
    document = broken.market.buyer.caller.get(path).json()
    document["purpose"] = "INDUSTRY"
    cast = "CAST(:document AS JSONB)" if is_postgres(broken) else ":document"
    broken.run(
        f"UPDATE terms_version SET document = {cast} WHERE negotiation_id = :id",
        document=json.dumps(document),
        id=broken.open_id,
    )
    assert found(broken.market) == [
        f"C1: the document of terms 1 of {broken.open_id} is not what its bytes say"
    ]


def test_a_signature_over_other_bytes_is_named(broken: Broken) -> None:
    market = broken.market
    at = market.installation.clock.now()
    forged = sign_detached(market.buyer.key, b"{}", typ=TERMS_TYPE, at=at)
    signature_id = broken.signature_ids["buyer"]
    broken.run("UPDATE signature SET jws = :jws WHERE id = :id", jws=forged, id=signature_id)
    [problem] = found(market)
    assert problem.startswith(f"C1: signature {signature_id} does not hold")


def test_a_signature_by_an_unregistered_key_is_named(broken: Broken) -> None:
    broken.run("DELETE FROM signing_key WHERE id = :id", id=broken.market.provider.key_id)
    signature_id = broken.signature_ids["provider"]
    assert found(broken.market) == [
        f"C1: signature {signature_id} is by a key that is not registered"
    ]


def test_a_signature_by_a_stranger_is_named(broken: Broken) -> None:
    signature_id = broken.signature_ids["buyer"]
    broken.run(
        "UPDATE signature SET organisation_id = :other WHERE id = :id",
        other=broken.market.stranger.id,
        id=signature_id,
    )
    assert found(broken.market) == [
        f"C1: signature {signature_id} is not by the buyer of its terms",
        f"C1: contract {broken.contract['id']} is not signed by {broken.market.buyer.id}",
    ]


def test_a_contract_without_one_of_its_signatures_is_named(broken: Broken) -> None:
    broken.run("DELETE FROM signature WHERE id = :id", id=broken.signature_ids["provider"])
    assert found(broken.market) == [
        f"C1: contract {broken.contract['id']} is not signed by {broken.market.provider.id}"
    ]


def test_a_party_that_signed_twice_is_named(broken: Broken) -> None:
    """The constraint must be gone for that, as in a store that somebody restored by hand."""
    market = broken.market
    with market.installation.market.begin() as connection:
        if is_postgres(broken):
            connection.execute(
                text(
                    "ALTER TABLE signature"
                    " DROP CONSTRAINT uq_signature_terms_sha256_organisation_id"
                )
            )
        else:
            connection.execute(text("CREATE TABLE kept AS SELECT * FROM signature"))
            connection.execute(text("DROP TABLE signature"))
            connection.execute(text("ALTER TABLE kept RENAME TO signature"))
        connection.execute(
            text(
                "INSERT INTO signature SELECT 'sig_twin', negotiation_id, terms_sha256,"
                " organisation_id, side, kid, jws, signed_at FROM signature WHERE id = :id"
            ),
            {"id": broken.signature_ids["buyer"]},
        )
    sha256 = broken.contract["terms_sha256"]
    assert found(market) == [f"C1: {market.buyer.id} has signed terms {sha256} more than once"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("plan_id", "pln_other"),
        ("listing_id", "lst_other"),
        ("version_id", "ver_other"),
        ("buyer_id", "org_other"),
        ("ends_at", "2030-01-01T00:00:00.000000Z"),
    ],
)
def test_a_contract_that_is_not_what_was_signed_is_named(
    broken: Broken, column: str, value: str
) -> None:
    broken.run(
        f"UPDATE contract SET {column} = :value WHERE id = :id",
        value=value,
        id=broken.contract["id"],
    )
    assert f"C1: contract {broken.contract['id']} is not what was signed" in found(broken.market)


def test_a_grant_that_lives_on_after_its_contract_is_named(broken: Broken) -> None:
    broken.run("UPDATE contract SET state = 'suspended' WHERE id = :id", id=broken.contract["id"])
    grant_id = broken.contract["grants"][0]["id"]
    assert found(broken.market) == [
        f"C1: grant {grant_id} is not as live as contract {broken.contract['id']}"
    ]


def test_a_contract_without_a_grant_is_named(broken: Broken) -> None:
    broken.run("DELETE FROM data_grant WHERE contract_id = :id", id=broken.contract["id"])
    assert found(broken.market) == [f"C1: contract {broken.contract['id']} has no grant"]


def test_terms_rewritten_with_their_hash_still_betray_themselves_by_the_signatures(
    broken: Broken,
) -> None:
    """Somebody with the whole database can write a new price, but nobody's signature under it."""
    market, contract = broken.market, broken.contract
    path = f"/api/v1/negotiations/{contract['negotiation_id']}/terms"
    document = market.buyer.caller.get(path).json()
    charge = document["plan"]["document"]["charges"][0]
    charge["unit_price"]["amount"] = "9.99"
    data = canonical(document)
    with market.installation.market.begin() as connection:
        cast = "CAST(:document AS JSONB)" if is_postgres(broken) else ":document"
        connection.execute(
            text(
                "INSERT INTO terms_version SELECT :new, negotiation_id, 99,"
                f" {cast}, :data, proposed_by, proposed_at"
                " FROM terms_version WHERE sha256 = :old"
            ),
            {
                "new": sha256_hex(data),
                "old": contract["terms_sha256"],
                "document": json.dumps(document),
                "data": data,
            },
        )
        for table in ("signature", "contract"):
            connection.execute(
                text(f"UPDATE {table} SET terms_sha256 = :new WHERE terms_sha256 = :old"),
                {"new": sha256_hex(data), "old": contract["terms_sha256"]},
            )
    named = found(market)
    assert len(named) == 2
    assert all("does not hold" in problem for problem in named)


def is_postgres(broken: Broken) -> bool:
    return broken.market.installation.market.dialect.name == "postgresql"
