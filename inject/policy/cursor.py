"""A place in the tokens of a policy, and the refusals that name it. Knows no rule of the grammar."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn, TypeVar

from firedamp.errors import PolicyError
from inject.policy.lex import Kind, Token
from inject.policy.model import Span

DEEPEST: Final = 50  # parentheses, nots and children within each other: far above need, far below Python's own limit
T = TypeVar("T")


class Cursor:
    def __init__(self, tokens: tuple[Token, ...], source: str) -> None:
        self.tokens, self.source, self.position, self.depth = tokens, source, 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def ended(self) -> bool:
        return self.token.kind is Kind.END

    def take(self) -> Token:
        token = self.token
        if token.kind is not Kind.END:
            self.position += 1
        return token

    def at(self, *texts: str) -> bool:
        return self.token.kind in (Kind.WORD, Kind.MARK) and self.token.text in texts

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.at(*texts) else None

    def expect(self, what: str, *texts: str) -> Token:
        return self.accept(*texts) or self.expected(what)

    def expect_kind(self, what: str, *kinds: Kind) -> Token:
        return self.take() if self.token.kind in kinds else self.expected(what)

    def bracketed(self, inner: "Callable[[Cursor], T]") -> T:
        self.expect('"["', "[")
        value = inner(self)
        self.expect('"]"', "]")
        return value

    def integer(self, what: str, lowest: int, highest: int) -> int:
        token = self.expect_kind(what, Kind.NUMBER)
        value = int(token.text) if re.fullmatch(r"-?[0-9]{1,19}", token.text) else None
        if value is None or not lowest <= value <= highest:
            self.refuse(f"{token.text!r} is no {what.split(' ', 1)[1]} from {lowest} to {highest}", token.span)
        return value

    @contextmanager
    def deeper(self, span: Span) -> Iterator[None]:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"nested deeper than {DEEPEST}; write it flatter", span)
        yield
        self.depth -= 1

    def expected(self, what: str) -> NoReturn:
        token = self.token
        shown = token.kind if token.kind in (Kind.NEWLINE, Kind.END, Kind.SECTION) else repr(token.text)
        self.refuse(f"expected {what}, found {shown}", token.span)

    def refuse(self, message: str, span: Span) -> NoReturn:
        raise PolicyError(message, line=span.line, column=span.column, source=self.source)
