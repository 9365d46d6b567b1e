"""Rows of the log: leaves, the hashes of the tree's inner nodes, checkpoints, and the log's key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.db.columns import (
    IdText,
    bytes_field,
    id_field,
    int_field,
    json_field,
    long_text_field,
    moment_field,
    text_field,
)
from app.db.sealed import sealed_field


class Leaf(SQLModel, table=True):
    """One thing that happened; numbered by the sequencer after its transaction has committed.

    `body` is canonical JSON. The log's entry is `commitment` = SHA-256(salt ‖ body): without the
    salt it tells nothing, and destroying the salt erases the link.
    """

    __tablename__ = "audit_leaf"
    __table_args__ = (
        sa.CheckConstraint("number >= 0", name="number"),
        sa.Index(
            "ix_audit_leaf_unnumbered",
            "id",
            sqlite_where=sa.text("number IS NULL"),
            postgresql_where=sa.text("number IS NULL"),
        ),
    )

    id: str = id_field()
    number: int | None = int_field(nullable=True, unique=True)
    kind: str = text_field(60, index=True)
    subject_id: str = text_field(40, index=True)
    organisations: list[Any] = json_field()
    recorded_at: datetime = moment_field()
    dedupe_key: str | None = text_field(200, nullable=True, unique=True)
    body: str = long_text_field()
    salt: bytes = bytes_field()
    commitment: bytes = bytes_field()


class TreeNode(SQLModel, table=True):
    """The hash of a complete subtree: level 0 are leaf hashes, `index` counts within the level."""

    __tablename__ = "audit_node"
    __table_args__ = (sa.CheckConstraint('level >= 0 AND "index" >= 0', name="place"),)

    level: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    index: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    hash: bytes = bytes_field()


class Checkpoint(SQLModel, table=True):
    """A signed tree head: how many leaves, their root, and the C2SP note that says so."""

    __tablename__ = "audit_checkpoint"
    __table_args__ = (sa.CheckConstraint("size >= 0", name="size"),)

    size: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    root: bytes = bytes_field()
    note: str = long_text_field()
    signed_at: datetime = moment_field(index=True)


class LogKey(SQLModel, table=True):
    """The key that signs checkpoints; its private half is sealed."""

    __tablename__ = "audit_log_key"

    id: str = Field(sa_column=sa.Column(IdText, primary_key=True))
    name: str = text_field(200)
    verifier_key: str = text_field(400)
    sealed_private: str = sealed_field("audit-log-key")
    created_at: datetime = moment_field()
