"""Column types and fields that mean the same on SQLite and PostgreSQL.

Each `*_field` makes one SQLModel field. Enums are stored by value as text, money and counters as
64-bit integers, moments as UTC, ids as text that sorts by byte.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel
from typing_extensions import override

from app.kernel.clock import from_rfc3339, rfc3339, utc

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

market_metadata = SQLModel.metadata


class UtcMoment(sa.TypeDecorator[datetime]):
    """An aware moment: `timestamptz` on PostgreSQL, RFC 3339 text of one width on SQLite."""

    impl = sa.String(27)
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return utc(value) if dialect.name == "postgresql" else rfc3339(value)

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return utc(value) if isinstance(value, datetime) else from_rfc3339(value)


class EnumText(sa.TypeDecorator[StrEnum]):
    """An enum stored by its value."""

    impl = sa.String(40)
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    @override
    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum(value)


IdText = sa.String(32).with_variant(postgresql.VARCHAR(32, collation="C"), "postgresql")
JsonText = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
JsonTextOrNull = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
"""None is SQL's NULL here, which a constraint can ask for, and not the JSON value null."""


def id_field() -> Any:
    """The row's own id, made by us before the insert."""
    return Field(sa_column=sa.Column(IdText, primary_key=True))


def ref_field(target: str, *, nullable: bool = False, index: bool = True) -> Any:
    """A reference to a row of the same package, such as `"organisation.id"`."""
    column = sa.Column(IdText, sa.ForeignKey(target), nullable=nullable, index=index)
    return _field(column, nullable)


def foreign_id_field(*, nullable: bool = False, index: bool = True) -> Any:
    """The id of a row that another package owns: no foreign key crosses a wall."""
    return _field(sa.Column(IdText, nullable=nullable, index=index), nullable)


def text_field(
    max_length: int, *, nullable: bool = False, unique: bool = False, index: bool = False
) -> Any:
    """Text of at most `max_length` characters."""
    column = sa.Column(sa.String(max_length), nullable=nullable, unique=unique, index=index)
    return _field(column, nullable)


def long_text_field(*, nullable: bool = False) -> Any:
    """Text without a bound of its own."""
    return _field(sa.Column(sa.Text, nullable=nullable), nullable)


def enum_field(enum: type[StrEnum], *, nullable: bool = False, index: bool = False) -> Any:
    """One of `enum`, stored by value."""
    return _field(sa.Column(EnumText(enum), nullable=nullable, index=index), nullable)


def moment_field(*, nullable: bool = False, index: bool = False) -> Any:
    """An aware UTC moment."""
    return _field(sa.Column(UtcMoment, nullable=nullable, index=index), nullable)


def day_field(*, unique: bool = False, index: bool = False) -> Any:
    """A calendar day; of which zone, its row says."""
    return Field(sa_column=sa.Column(sa.Date, nullable=False, unique=unique, index=index))


def json_field(*, nullable: bool = False) -> Any:
    """A JSON value."""
    return _field(sa.Column(JsonTextOrNull if nullable else JsonText, nullable=nullable), nullable)


def int_field(*, nullable: bool = False, index: bool = False, unique: bool = False) -> Any:
    """A 64-bit integer: money in minor units, a counter, a size."""
    return _field(sa.Column(sa.BigInteger, nullable=nullable, index=index, unique=unique), nullable)


def bytes_field(*, nullable: bool = False) -> Any:
    """Raw bytes."""
    return _field(sa.Column(sa.LargeBinary, nullable=nullable), nullable)


def bool_field() -> Any:
    """True or false, false by default."""
    return Field(sa_column=sa.Column(sa.Boolean, nullable=False), default=False)


def _field(column: sa.Column[Any], nullable: bool) -> Any:
    return Field(sa_column=column, default=None) if nullable else Field(sa_column=column)
