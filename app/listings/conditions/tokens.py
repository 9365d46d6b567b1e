"""Tokens of a `where` expression, each with its place, so that a refusal can point at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from app.listings.conditions.errors import QueryRefused

TOKENS_MAX = 2_000


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"
    """A bare name or a keyword."""
    NAME = "name"
    """A name in double quotes: never a keyword."""
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its meaning (quotes taken off) and the character where it starts."""

    kind: TokenKind
    text: str
    position: int

    def is_word(self, word: str) -> bool:
        """Whether it is the keyword `word`, in any case."""
        return self.kind is TokenKind.WORD and self.text.lower() == word

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of `signs`."""
        return self.kind is TokenKind.SIGN and self.text in signs


def tokens_of(text: str, parameter: str) -> list[Token]:
    """The tokens of `text`, the last an END; raises `QueryRefused` at the first odd character."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise QueryRefused(_complaint(text, position), parameter, position)
        if match.lastgroup != "space":
            tokens.append(_token(match))
            if len(tokens) > TOKENS_MAX:
                raise QueryRefused("The expression is too long.", parameter, position)
        position = match.end()
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _token(match: re.Match[str]) -> Token:
    kind = TokenKind(match.lastgroup)
    text = match[0]
    if kind is TokenKind.TEXT:
        text = text[1:-1].replace("''", "'")
    elif kind is TokenKind.NAME:
        text = text[1:-1].replace('""', '"')
    return Token(kind, text, match.start())


def _complaint(text: str, position: int) -> str:
    character = text[position]
    if character in "'\"":
        return f"The quote {character} is not closed."
    return f"The character {character!r} means nothing here."


_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<text>'(?:[^']|'')*+')
    | (?P<name>"(?:[^"]|"")++")
    | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<word>[^\W\d]\w*)
    | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    """,
    re.VERBOSE,
)
