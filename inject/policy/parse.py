"""Tokens to nodes, by recursive descent. Only PolicyError leaves `parse`, whatever the text.

policy  = {[rule | strace | section | child] NEWLINE}
section = "Policy: " PROGRAM ", Emulation: " NAME [NEWLINE "detached"]
child   = "child" STRING "{" {[rule | strace | child] NEWLINE} "}"
rule    = [EMULATION "-"] NAME ":" [expr ("then" | "->")] verdict {modifier} [identity]
identity = "," "if" ("user" | "group") ("=" | "!=" | "<" | ">") NAME
expr    = conjunction {"or" conjunction}            conjunction = term {"and" term}
term    = "true" | "not" term | "(" expr ")" | ATTRIBUTE ["[" N "]"] OPERATOR STRING | ("site" | "caller") STRING
verdict = "permit" ["[" ("inherit" | "detach") "]"] | "deny" ["[" ERRNO "]"] | ("suppress" | "commit") "[" ERRNO "]"
        | "partial" "[" N "]" | "retval" "[" N "]" | "ask"
modifier = "signal" "[" SIGNAL "]" | ("delay" | "delay_exit") "[" TIME "]" | "log" | "as" USER [":" GROUP] | "once"
        | "when" F[".."L]["+"[S]] | "after" N | "limit" N | "probability" P ["seed" N] | "xor" GROUP

A rule that starts with a modifier of effect (signal, delay) permits the call.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from firedamp.errors import PolicyError
from inject import syscalls
from inject.policy import names
from inject.policy.ere import extended
from inject.policy.lex import Kind, Token, lex
from inject.policy.model import (
    ATTRIBUTES,
    Always,
    And,
    Ask,
    Chance,
    Child,
    Commit,
    Condition,
    Deny,
    Expr,
    Identity,
    Item,
    Not,
    Operator,
    Or,
    Partial,
    Permit,
    Policy,
    Retval,
    Rule,
    Section,
    Span,
    StraceRule,
    Suppress,
    Verdict,
    When,
)
from inject.policy.strace import parse_strace, parse_when

DEEPEST: Final = 50  # parentheses, nots and children within each other: far above need, far below Python's own limit
LARGEST: Final = 2**63 - 1
EMULATIONS: Final = ("native", "linux")
VERDICTS: Final = ("permit", "deny", "suppress", "commit", "partial", "retval", "ask")
EFFECTS: Final = ("signal", "delay", "delay_exit")
MODIFIERS: Final = (*EFFECTS, "log", "as", "once", "when", "after", "limit", "probability", "xor")
COUNTED_LIMIT: Final = 10**9  # of after and limit: beyond what a run can do
T = TypeVar("T")


def parse(text: str, source: str = "<policy>") -> Policy:
    """The policy that a text says. PolicyError names line, column, what was wrong and what was expected."""
    return _Parser(tuple(lex(text, source)), source).policy()


class _Parser:
    def __init__(self, tokens: tuple[Token, ...], source: str) -> None:
        self.tokens, self.source, self.position, self.depth = tokens, source, 0, 0

    # --- tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

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

    def expected(self, what: str) -> NoReturn:
        token = self.token
        shown = token.kind if token.kind in (Kind.NEWLINE, Kind.END, Kind.SECTION) else repr(token.text)
        self.refuse(f"expected {what}, found {shown}", token.span)

    def refuse(self, message: str, span: Span) -> NoReturn:
        raise PolicyError(message, line=span.line, column=span.column, source=self.source)

    def deeper(self, span: Span) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"nested deeper than {DEEPEST}; write it flatter", span)

    # --- lines

    def policy(self) -> Policy:
        items: list[Item] = []
        while not self.ended():
            if self.token.kind is Kind.SECTION:
                items.append(self.section())
            elif self.token.kind is not Kind.NEWLINE:
                items.append(self.line())
            if not self.ended():
                self.expect_kind("the end of the rule", Kind.NEWLINE)
        return Policy(items=tuple(items), source=self.source)

    def section(self) -> Section:
        token = self.take()
        found = re.fullmatch(r"Policy[ \t]*:[ \t]*(/[^,]*?)[ \t]*,[ \t]*Emulation[ \t]*:[ \t]*(\S+)", token.text)
        if found is None:
            self.refuse("expected Policy: /absolute/program, Emulation: linux", token.span)
        if found[2] not in EMULATIONS:
            self.refuse(f"emulation {found[2]!r} is none of {', '.join(EMULATIONS)}", token.span)
        mark = self.position
        while self.token.kind is Kind.NEWLINE:
            self.take()
        detached = self.accept("detached") is not None
        if not detached:
            self.position = mark
        return Section(program=found[1], emulation=found[2], detached=detached, span=token.span)

    def line(self) -> Rule | StraceRule | Child:
        if self.token.kind is Kind.STRACE:
            token = self.take()
            return parse_strace(token.text, source=self.source, span=token.span)
        following = self.tokens[min(self.position + 1, len(self.tokens) - 1)]
        if self.at("child") and following.kind is Kind.STRING:
            return self.child()
        return self.rule()

    def child(self) -> Child:
        span = self.take().span
        program = self.take().text
        self.expect('"{" after the child\'s program', "{")
        self.deeper(span)
        rules: list[Rule | StraceRule | Child] = []
        while not self.accept("}"):
            if self.token.kind is Kind.NEWLINE:
                self.take()
            elif self.token.kind is Kind.END:
                self.expected('"}" that ends the child block')
            else:
                rules.append(self.line())
                if not self.at("}"):
                    self.expect_kind('the end of the rule, or "}"', Kind.NEWLINE)
        self.depth -= 1
        return Child(program=program, rules=tuple(rules), span=span)

    # --- one rule

    def rule(self) -> Rule:
        token = self.expect_kind("a rule: SYSCALL: FILTER then ACTION", Kind.WORD)
        emulation, name = self.syscall(token)
        self.expect(f'":" after {token.text}', ":")
        expr: Expr = Always()
        if not self.at(*VERDICTS, *EFFECTS):
            expr = self.expression()
            self.expect('"then" or "->" and an action after the filter', "then", "->")
        verdict = self.verdict()
        fields = self.modifiers(token.span)
        return Rule(
            syscall=name,
            emulation=emulation,
            expr=expr,
            verdict=verdict,
            identity=self.identity(),
            span=token.span,
            **fields,
        )

    def syscall(self, token: Token) -> tuple[str | None, str]:
        prefix, dash, rest = token.text.partition("-")
        if dash and prefix not in EMULATIONS:
            self.refuse(f"emulation {prefix!r} is none of {', '.join(EMULATIONS)}", token.span)
        name = rest if dash else token.text
        if names.members(name) is None:
            self.refuse(names.unknown_call(name), token.span)
        return (prefix if dash else None), name

    def expression(self) -> Expr:
        span = self.token.span
        terms = [self.conjunction()]
        while self.accept("or"):
            terms.append(self.conjunction())
        return terms[0] if len(terms) == 1 else Or(terms=tuple(terms), span=span)

    def conjunction(self) -> Expr:
        span = self.token.span
        terms = [self.term()]
        while self.accept("and"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else And(terms=tuple(terms), span=span)

    def term(self) -> Expr:
        token = self.expect_kind('a filter: true, not, "(", or an attribute', Kind.WORD, Kind.MARK)
        if token.text == "true":
            return Always(span=token.span)
        if token.text not in ("not", "("):
            return self.test(token)
        self.deeper(token.span)
        inner = self.term() if token.text == "not" else self.grouped()
        self.depth -= 1
        return Not(term=inner, span=token.span) if token.text == "not" else inner

    def grouped(self) -> Expr:
        inner = self.expression()
        self.expect('")" that closes the parenthesis', ")")
        return And(terms=inner.terms, grouped=True, span=inner.span) if isinstance(inner, And) else inner

    def test(self, token: Token) -> Condition:
        name = token.text
        if name not in ATTRIBUTES:
            self.refuse(f"{name!r} is no attribute of a call{syscalls.close_to(name, ATTRIBUTES)}", token.span)
        index = self.bracketed(lambda: self.count("an index", 5)) if self.at("[") else None
        operator = Operator.EQ
        if not (name in ("site", "caller") and self.token.kind is Kind.STRING):
            choices = ", ".join(Operator)
            operator = Operator(self.expect(f"an operator ({choices}) after {name}", *Operator).text)
        text = self.expect_kind(f'a "string" after {operator}', Kind.STRING)
        if operator is Operator.RE:
            self.check_regex(text)
        return Condition(attribute=name, index=index, operator=operator, text=text.text, span=token.span)

    def check_regex(self, token: Token) -> None:
        try:
            extended(token.text)
        except ValueError as error:
            self.refuse(f"{token.text!r} is no POSIX extended regular expression: {error}", token.span)

    # --- actions

    def verdict(self) -> Verdict:
        if self.at(*EFFECTS):
            return Permit()
        word = self.expect(f"an action ({', '.join(VERDICTS)})", *VERDICTS).text
        match word:
            case "permit":
                return Permit(mode=self.bracketed(self.mode) if self.at("[") else None)
            case "deny":
                return Deny(errno=self.bracketed(self.errno) if self.at("[") else None)
            case "suppress":
                return Suppress(errno=self.bracketed(self.errno))
            case "commit":
                return Commit(errno=self.bracketed(self.errno))
            case "partial":
                return Partial(count=self.bracketed(self.short_count))
            case "retval":
                return Retval(value=self.bracketed(lambda: self.integer("a value", -LARGEST - 1, LARGEST)))
            case _:
                return Ask()

    def bracketed(self, inner: Callable[[], T]) -> T:
        self.expect('"["', "[")
        value = inner()
        self.expect('"]"', "]")
        return value

    def mode(self) -> str:
        return self.expect("inherit or detach", "inherit", "detach").text

    def errno(self) -> int:
        token = self.expect_kind("an errno", Kind.WORD, Kind.NUMBER)
        number = syscalls.errno_number(token.text)
        return number if number is not None else self.refuse(names.unknown_errno(token.text), token.span)

    def short_count(self) -> int:
        span = self.token.span
        count = self.integer("a number of bytes", 0, LARGEST)
        if count == 0:
            self.refuse("partial[0] is no short count (0 is the end of a file); write retval[0] if you mean that", span)
        return count

    def count(self, what: str, highest: int = COUNTED_LIMIT) -> int:
        return self.integer(what, 0, highest)

    def integer(self, what: str, lowest: int, highest: int) -> int:
        token = self.expect_kind(what, Kind.NUMBER)
        value = int(token.text) if re.fullmatch(r"-?[0-9]{1,19}", token.text) else None
        if value is None or not lowest <= value <= highest:
            self.refuse(f"{token.text!r} is no {what.split(' ', 1)[1]} from {lowest} to {highest}", token.span)
        return value

    # --- modifiers

    def modifiers(self, start: Span) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while not (self.token.kind in (Kind.NEWLINE, Kind.END) or self.at("}", ",")):
            token = self.expect(f"one of {', '.join(MODIFIERS)}, or the end of the rule", *MODIFIERS)
            key, value = self.modifier(token.text)
            if key in fields:
                self.refuse(f"{token.text!r} stands here twice; leave one", token.span)
            if {"once", "limit"} <= {key, *fields}:
                self.refuse("once is limit 1; leave one of them", token.span)
            fields[key] = value
        return fields

    def modifier(self, word: str) -> tuple[str, object]:
        match word:
            case "signal":
                return "signal", self.bracketed(self.signal)
            case "delay":
                return "delay_entry_ns", self.bracketed(self.time)
            case "delay_exit":
                return "delay_exit_ns", self.bracketed(self.time)
            case "as":
                return "run_as", self.user()
            case "when":
                return "when", self.window()
            case "after":
                return "after", self.integer("a count", 1, COUNTED_LIMIT)
            case "limit":
                return "limit", self.integer("a count", 1, COUNTED_LIMIT)
            case "probability":
                return "chance", self.chance()
            case "xor":
                return "group", self.expect_kind("the name of a group", Kind.WORD).text
        return word, True  # log, once

    def signal(self) -> int:
        token = self.expect_kind("a signal", Kind.WORD, Kind.NUMBER)
        number = names.signal_number(token.text)
        return number if number is not None else self.refuse(names.unknown_signal(token.text), token.span)

    def time(self) -> int:
        token = self.expect_kind("a length of time", Kind.NUMBER)
        length = names.duration_ns(token.text)
        wrong = f"{token.text!r} is no length of time up to a day; write a whole number with s, ms, us or ns"
        return length if length is not None else self.refuse(wrong, token.span)

    def user(self) -> tuple[str, str | None]:
        user = self.expect_kind("a user", Kind.WORD, Kind.NUMBER).text
        group = self.expect_kind("a group", Kind.WORD, Kind.NUMBER).text if self.accept(":") else None
        return user, group

    def window(self) -> When:
        first = self.expect_kind("a window: F, F+, F+S, F..L or F..L+S", Kind.NUMBER)
        text = first.text
        if self.accept(".."):
            text += ".." + self.expect_kind("the last call of the window", Kind.NUMBER).text
        if self.accept("+"):
            text += "+" + (self.take().text if self.token.kind is Kind.NUMBER else "")
        window = parse_when(text)
        wrong = f"{text!r} is no window; write F, F+, F+S, F..L or F..L+S, with 1 <= F <= L <= 65535"
        return window or self.refuse(wrong, first.span)

    def chance(self) -> Chance:
        token = self.expect_kind("a probability", Kind.NUMBER)
        value = float(token.text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,30})?", token.text) else -1.0
        if not 0 < value <= 1:
            self.refuse(f"{token.text!r} is no probability; write a number above 0, at most 1", token.span)
        return Chance(probability=value, seed=self.count("a seed") if self.accept("seed") else 0)

    def identity(self) -> Identity | None:
        if not self.accept(","):
            return None
        self.expect('"if" after the comma', "if")
        subject = self.expect("user or group", "user", "group").text
        comparison = self.expect("one of = != < >", "=", "!=", "<", ">").text
        name = self.expect_kind(f"the name or number of a {subject}", Kind.WORD, Kind.NUMBER).text
        return Identity(subject=subject, comparison=comparison, name=name)
