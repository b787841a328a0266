"""Tokens to a filter.

expr = conjunction {"or" conjunction}            conjunction = term {"and" term}
term = "true" | "not" term | "(" expr ")" | ATTRIBUTE ["[" N "]"] OPERATOR STRING | ("site" | "caller") STRING
"""

from typing import Final

from inject.linux import syscalls
from inject.policy.cursor import Cursor
from inject.policy.ere import extended
from inject.policy.lex import Kind, Token
from inject.policy.model import ATTRIBUTES, Always, And, Condition, Expr, Not, Operator, Or

HIGHEST_INDEX: Final = 5  # a call has six arguments


def expression(cursor: Cursor) -> Expr:
    span = cursor.token.span
    terms = [_conjunction(cursor)]
    while cursor.accept("or"):
        terms.append(_conjunction(cursor))
    return terms[0] if len(terms) == 1 else Or(terms=tuple(terms), span=span)


def _conjunction(cursor: Cursor) -> Expr:
    span = cursor.token.span
    terms = [_term(cursor)]
    while cursor.accept("and"):
        terms.append(_term(cursor))
    return terms[0] if len(terms) == 1 else And(terms=tuple(terms), span=span)


def _term(cursor: Cursor) -> Expr:
    token = cursor.expect_kind('a filter: true, not, "(", or an attribute', Kind.WORD, Kind.MARK)
    if token.text == "true":
        return Always(span=token.span)
    if token.text not in ("not", "("):
        return _test(cursor, token)
    with cursor.deeper(token.span):
        return Not(term=_term(cursor), span=token.span) if token.text == "not" else _grouped(cursor)


def _grouped(cursor: Cursor) -> Expr:
    inner = expression(cursor)
    cursor.expect('")" that closes the parenthesis', ")")
    return And(terms=inner.terms, grouped=True, span=inner.span) if isinstance(inner, And) else inner


def _test(cursor: Cursor, token: Token) -> Condition:
    name = token.text
    if name not in ATTRIBUTES:
        cursor.refuse(f"{name!r} is no attribute of a call{syscalls.close_to(name, ATTRIBUTES)}", token.span)
    index = cursor.bracketed(_index) if cursor.at("[") else None
    operator = Operator.EQ
    if not (name in ("site", "caller") and cursor.token.kind is Kind.STRING):
        choices = ", ".join(Operator)
        operator = Operator(cursor.expect(f"an operator ({choices}) after {name}", *Operator).text)
    text = cursor.expect_kind(f'a "string" after {operator}', Kind.STRING)
    if operator is Operator.RE:
        _check_regex(cursor, text)
    return Condition(attribute=name, index=index, operator=operator, text=text.text, span=token.span)


def _index(cursor: Cursor) -> int:
    return cursor.integer("an index", 0, HIGHEST_INDEX)


def _check_regex(cursor: Cursor, token: Token) -> None:
    try:
        extended(token.text)
    except ValueError as error:
        cursor.refuse(f"{token.text!r} is no POSIX extended regular expression: {error}", token.span)
