"""An installation whose keys lie in a file, with something in each of its sealed columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import select

from app.accounts.models import Organisation
from app.accounts.oauth.token_keys import ensure_token_key
from app.audit.log_keys import ensure_log_key
from app.db.installation import Installation
from app.db.sealed import SealedColumn, opens, sealed_rows
from app.kernel.actor import OPERATOR
from app.kernel.key_file import WatchedKeys, ensure_key_file
from app.kernel.sealing import key_name
from app.listings.codes import Delivery
from app.listings.models import UpstreamApi
from app.metering.granting import apply_grant
from app.metering.upstream.credentials import open_secret, sealed_credential_of
from app.wiring import SEALED
from tests.accounts.identity_providers.attached import attach_identity_provider
from tests.conftest import Api
from tests.contracts.market import Market
from tests.metering.grant_documents import grant_document

SECRET = "s3cret-key-1"
GRANTS = 3


@dataclass
class Vault:
    """The installation, the file of its keys, and the listing whose credential is sealed."""

    installation: Installation
    path: Path
    listing_id: str

    def sealed_under(self) -> dict[str, set[str]]:
        """The master keys that each column's rows are sealed under; every one of them opens."""
        found: dict[str, set[str]] = {}
        for column, row in self.rows():
            opens(column, row, self.installation.keys)
            found.setdefault(column.name, set()).add(key_name(column.text_in(row) or ""))
        return found

    def rows(self) -> Iterator[tuple[SealedColumn, Any]]:
        """Every sealed column with each of its rows."""
        engines = {"market": self.installation.market, "usage": self.installation.usage}
        for store, columns in SEALED.items():
            with engines[store].connect() as connection:
                for column in columns:
                    for row in sealed_rows(connection, column):
                        yield column, row

    def secrets(self) -> set[str]:
        """The provider's credential, as its row and every compiled grant have it."""
        keys, found = self.installation.keys, set()
        for column, row in self.rows():
            if column.name == "upstream.sealed":
                found.add(keys.unseal(row["sealed"], f"upstream:{row['listing_id']}").decode())
            if column.name == "grant_terms.compiled":
                sealed = sealed_credential_of(row["compiled"]["upstream"]["auth"])
                found.add(open_secret(sealed, row["compiled"]["listing_id"], keys))
        return found

    def apply_grants(self, count: int = GRANTS) -> None:
        """Grants on the provider's API; each of an epoch that is over, too."""
        with self.installation.transaction(OPERATOR) as session:
            sealed = session.get_one(UpstreamApi, self.listing_id).sealed
        api = {
            "listing_id": self.listing_id,
            "base_url": "https://api.provider.example/v1",
            "auth": {"kind": "header", "name": "X-Api-Key", "sealed": sealed},
            "timeout_s": 5,
            "body_max_bytes": 1_000,
            "methods": ["GET"],
        }
        way = {"delivery": "upstream", "channels_allowed": ["upstream"], "upstream": api}
        with self.installation.usage_transaction() as connection:
            for number in range(count):
                for epoch in (1, 2):
                    document = grant_document(f"grt_{number}", epoch=epoch, **way)
                    apply_grant(connection, document | {"listing_id": self.listing_id}, at_us=1)

    def changes(self) -> list[str]:
        """Whom the usage store's feed has told of, in order."""
        with self.installation.usage.connect() as connection:
            asked = connection.execute(sa.text("SELECT subject FROM change ORDER BY number"))
            return [str(subject) for subject in asked.scalars()]


@contextmanager
def vault_at(installation: Installation, api: Api, path: Path) -> Iterator[Vault]:
    """A vault with one row at least in each sealed column."""
    ensure_key_file(path)
    opened = dataclasses.replace(installation, keys=WatchedKeys(path))
    market = Market(opened, api)
    goods = market.list_goods(delivery=Delivery.UPSTREAM)
    with opened.transaction(OPERATOR) as session:
        ensure_log_key(session)
        ensure_token_key(session)
        upstream = session.get_one(UpstreamApi, goods.listing_id)
        upstream.sealed = opened.keys.seal(SECRET.encode(), f"upstream:{goods.listing_id}")
        organisation_id = session.exec(select(Organisation.id)).first()
    attach_identity_provider(opened, str(organisation_id), 1)
    vault = Vault(opened, path, goods.listing_id)
    vault.apply_grants()
    yield vault
