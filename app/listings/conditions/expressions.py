"""What a `where` asks: a small tree of comparisons over known columns.

    expression  all ( "or" all )*
    all         one ( "and" one )*
    one         "not" one | "(" expression ")" | test
    test        column ( "=" "!=" "<" "<=" ">" ">=" ) value
              | column [ "not" ] "in" "(" value { "," value } ")"
              | column [ "not" ] ( "like" | "contains" ) 'text'
              | column "is" [ "not" ] "null"
    column      a bare name, or "any name" in double quotes
    value       1 · -2.5 · 'text' · true · false · '2026-01-31' · '2026-01-31T08:00:00Z'

A value must fit its column's kind. As in SQL, a comparison with a missing value is neither true nor
false: `not` does not make it true either. `like` knows `%` and `_`; both it and `contains` tell
capitals from small letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.listings.conditions.columns import ORDERED, Column, Kind
from app.listings.conditions.errors import QueryRefused
from app.listings.conditions.tokens import Token, TokenKind, tokens_of
from app.listings.conditions.values import PATTERN_MAX_LENGTH, Value, ValueMisfit, value_of

DEPTH_MAX = 32
SIGNS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
KEYWORDS = frozenset({"and", "or", "not", "in", "like", "contains", "is", "null", "true", "false"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column sign value`, with `!=` and the order signs spelled one way."""

    column: Column
    sign: str
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """`column in (values)`."""

    column: Column
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Likeness:
    """`column like pattern`."""

    column: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class Containment:
    """`column contains part`."""

    column: Column
    part: str


@dataclass(frozen=True, slots=True)
class Absence:
    """`column is null`."""

    column: Column


@dataclass(frozen=True, slots=True)
class Negation:
    """`not inner`."""

    inner: Expression


@dataclass(frozen=True, slots=True)
class Every:
    """All of `parts`."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of `parts`."""

    parts: tuple[Expression, ...]


Expression = Comparison | Membership | Likeness | Containment | Absence | Negation | Every | Some


def parse_expression(text: str, columns: Sequence[Column], parameter: str = "where") -> Expression:
    """The expression in `text` over `columns`; raises `QueryRefused` pointing at what is wrong."""
    reader = _Reader(tokens_of(text, parameter), {c.name: c for c in columns}, parameter)
    expression = reader.expression(0)
    reader.end()
    return expression


class _Reader:
    """Reads tokens from left to right, one function per rule of the grammar."""

    def __init__(self, tokens: list[Token], columns: Mapping[str, Column], parameter: str) -> None:
        self._tokens = tokens
        self._columns = columns
        self._parameter = parameter
        self._next = 0

    def expression(self, depth: int) -> Expression:
        parts = [self._all(depth)]
        while self._took_word("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def end(self) -> None:
        token = self._peek()
        if token.kind is not TokenKind.END:
            raise self._refused("Expected `and`, `or` or the end.", token)

    def _all(self, depth: int) -> Expression:
        parts = [self._one(depth)]
        while self._took_word("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self, depth: int) -> Expression:
        if depth > DEPTH_MAX:
            raise self._refused("The expression is nested too deeply.", self._peek())
        if self._took_word("not"):
            return Negation(self._one(depth + 1))
        if self._took_sign("("):
            inner = self.expression(depth + 1)
            self._expect_sign(")")
            return inner
        return self._test()

    def _test(self) -> Expression:
        column = self._column()
        token = self._take()
        if token.is_sign(*SIGNS):
            return self._comparison(column, token)
        if token.is_word("is"):
            negated = self._took_word("not")
            if not self._took_word("null"):
                raise self._refused("Expected `null`.", self._peek())
            return _maybe_not(Absence(column), negated)
        negated = token.is_word("not")
        if negated:
            token = self._take()
        if token.is_word("in"):
            return _maybe_not(self._membership(column), negated)
        if token.is_word("like"):
            return _maybe_not(Likeness(column, self._pattern(column)), negated)
        if token.is_word("contains"):
            return _maybe_not(Containment(column, self._pattern(column)), negated)
        raise self._refused("Expected a comparison, `in`, `like`, `contains` or `is`.", token)

    def _comparison(self, column: Column, token: Token) -> Comparison:
        sign = SIGNS[token.text]
        if column.kind is Kind.BOOLEAN and sign not in {"=", "!="}:
            raise self._refused("A boolean column is only compared by = and !=.", token)
        return Comparison(column, sign, self._value(column))

    def _membership(self, column: Column) -> Membership:
        self._expect_sign("(")
        values = [self._value(column)]
        while self._took_sign(","):
            values.append(self._value(column))
        self._expect_sign(")")
        return Membership(column, tuple(values))

    def _column(self) -> Column:
        token = self._take()
        is_keyword = token.kind is TokenKind.WORD and token.text.lower() in KEYWORDS
        if token.kind not in {TokenKind.WORD, TokenKind.NAME} or is_keyword:
            raise self._refused("Expected the name of a column.", token)
        if token.text not in self._columns:
            raise self._refused(f"There is no column {token.text!r}.", token)
        return self._columns[token.text]

    def _value(self, column: Column) -> Value:
        token = self._take()
        if token.is_word("null"):
            raise self._refused("Nothing equals null: write `is null`.", token)
        if column.kind not in ORDERED:
            raise self._refused(f"A {column.kind} column is only asked `is null`.", token)
        try:
            return value_of(token, column)
        except ValueMisfit as misfit:
            raise self._refused(str(misfit), token) from None

    def _pattern(self, column: Column) -> str:
        token = self._take()
        if column.kind is not Kind.TEXT:
            raise self._refused("Only a text column is matched by a pattern.", token)
        if token.kind is not TokenKind.TEXT or len(token.text) > PATTERN_MAX_LENGTH:
            raise self._refused("Expected a text in single quotes, not too long.", token)
        return token.text

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind is not TokenKind.END:
            self._next += 1
        return token

    def _took_word(self, word: str) -> bool:
        taken = self._peek().is_word(word)
        self._next += taken
        return taken

    def _took_sign(self, sign: str) -> bool:
        taken = self._peek().is_sign(sign)
        self._next += taken
        return taken

    def _expect_sign(self, sign: str) -> None:
        if not self._took_sign(sign):
            raise self._refused(f"Expected {sign!r}.", self._peek())

    def _refused(self, detail: str, token: Token) -> QueryRefused:
        return QueryRefused(detail, self._parameter, token.position)


def _maybe_not(expression: Expression, negated: bool) -> Expression:
    return Negation(expression) if negated else expression
