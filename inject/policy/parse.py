"""Tokens to nodes, by recursive descent. Only PolicyError leaves `parse`, whatever the text.

policy   = {[rule | strace | section | child] NEWLINE}
section  = "Policy: " PROGRAM ", Emulation: " NAME [NEWLINE "detached"]
child    = "child" STRING "{" {[rule | strace | child] NEWLINE} "}"
rule     = [EMULATION "-"] NAME ["@64"] ":" [expr ("then" | "->")] verdict {modifier} [identity]
identity = "," "if" ("user" | "group") ("=" | "!=" | "<" | ">") NAME

`expr` stands in filters.py, `verdict` and `modifier` in actions.py, a line of strace's in strace.py.
"""

import re
from typing import Final

from inject.policy import names
from inject.policy.actions import EFFECTS, VERDICTS, modifiers, verdict
from inject.policy.cursor import Cursor
from inject.policy.filters import expression
from inject.policy.lex import Kind, Token, lex
from inject.policy.model import Always, Child, Expr, Identity, Item, Policy, Rule, Section, StraceRule
from inject.policy.strace import parse_strace

EMULATIONS: Final = ("native", "linux")


def parse(text: str, source: str = "<policy>") -> Policy:
    """The policy that a text says. PolicyError names line, column, what was wrong and what was expected."""
    cursor = Cursor(tuple(lex(text, source)), source)
    items: list[Item] = []
    while not cursor.ended():
        if cursor.token.kind is Kind.SECTION:
            items.append(_section(cursor))
        elif cursor.token.kind is not Kind.NEWLINE:
            items.append(_line(cursor))
        if not cursor.ended():
            cursor.expect_kind("the end of the rule", Kind.NEWLINE)
    return Policy(items=tuple(items), source=source)


def _section(cursor: Cursor) -> Section:
    token = cursor.take()
    found = re.fullmatch(r"Policy[ \t]*:[ \t]*(/[^,]*?)[ \t]*,[ \t]*Emulation[ \t]*:[ \t]*(\S+)", token.text)
    if found is None:
        cursor.refuse("expected Policy: /absolute/program, Emulation: linux", token.span)
    if found[2] not in EMULATIONS:
        cursor.refuse(f"emulation {found[2]!r} is none of {', '.join(EMULATIONS)}", token.span)
    mark = cursor.position
    while cursor.token.kind is Kind.NEWLINE:
        cursor.take()
    detached = cursor.accept("detached") is not None
    if not detached:
        cursor.position = mark
    return Section(program=found[1], emulation=found[2], detached=detached, span=token.span)


def _line(cursor: Cursor) -> Rule | StraceRule | Child:
    if cursor.token.kind is Kind.STRACE:
        token = cursor.take()
        return parse_strace(token.text, source=cursor.source, span=token.span)
    if cursor.at("child") and cursor.following.kind is Kind.STRING:
        return _child(cursor)
    return _rule(cursor)


def _child(cursor: Cursor) -> Child:
    span = cursor.take().span
    program = cursor.take()
    if not program.text.startswith("/"):
        cursor.refuse(f"{program.text!r} is no absolute name of a program; write it from / on", program.span)
    cursor.expect('"{" after the child\'s program', "{")
    rules: list[Rule | StraceRule | Child] = []
    with cursor.deeper(span):
        while not cursor.accept("}"):
            if cursor.token.kind is Kind.NEWLINE:
                cursor.take()
            elif cursor.token.kind is Kind.END:
                cursor.expected('"}" that ends the child block')
            else:
                rules.append(_line(cursor))
                if not cursor.at("}"):
                    cursor.expect_kind('the end of the rule, or "}"', Kind.NEWLINE)
    return Child(program=program.text, rules=tuple(rules), span=span)


def _rule(cursor: Cursor) -> Rule:
    token = cursor.expect_kind("a rule: SYSCALL: FILTER then ACTION", Kind.WORD)
    emulation, name = _syscall(cursor, token)
    cursor.expect(f'":" after {token.text}', ":")
    expr: Expr = Always()
    if not cursor.at(*VERDICTS, *EFFECTS):
        expr = expression(cursor)
        cursor.expect('"then" or "->" and an action after the filter', "then", "->")
    decided = verdict(cursor)
    fields = modifiers(cursor)
    return Rule(
        syscall=name,
        emulation=emulation,
        expr=expr,
        verdict=decided,
        identity=_identity(cursor),
        span=token.span,
        **fields,
    )


def _syscall(cursor: Cursor, token: Token) -> tuple[str | None, str]:
    prefix, dash, rest = token.text.partition("-")
    if dash and prefix not in EMULATIONS:
        cursor.refuse(f"emulation {prefix!r} is none of {', '.join(EMULATIONS)}", token.span)
    name = rest if dash else token.text
    if names.members(name) is None:
        cursor.refuse(names.unknown_call(name), token.span)
    return (prefix if dash else None), name


def _identity(cursor: Cursor) -> Identity | None:
    if not cursor.accept(","):
        return None
    cursor.expect('"if" after the comma', "if")
    subject = cursor.expect("user or group", "user", "group").text
    comparison = cursor.expect("one of = != < >", "=", "!=", "<", ">").text
    name = cursor.expect_kind(f"the name or number of a {subject}", Kind.WORD, Kind.NUMBER).text
    return Identity(subject=subject, comparison=comparison, name=name)
