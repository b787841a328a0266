"""strace's inject expressions as rules of a policy: what means the same, and where it does not quite.

`inject=` lines are legal in a policy as they stand; this is for who wants to go on from there, with filters and effects
that strace lacks. -P becomes a filter on path. What has no form of its own as a rule stays a line of strace's.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EINTR, ENOSYS, EPIPE
from typing import Final

from firedamp.errors import UsageError
from inject.linux import syscalls
from inject.policy.model import (
    Always,
    Condition,
    Deny,
    Expr,
    Or,
    Permit,
    Policy,
    Retval,
    Rule,
    StraceRule,
    Verdict,
)
from inject.policy.names import members
from inject.policy.strace import parse_strace, selected

IGNORED: Final = ("-f", "-ff", "-q", "-qq", "-v", "--follow-forks")  # how strace shows what it sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    policy: Policy
    notes: tuple[str, ...] = ()


def translate(text: str) -> Translation:
    """Of an expression, or of strace's options with several. PolicyError or UsageError for what strace would refuse."""
    paths, rules = _options(text)
    rules = rules[::-1]  # of two expressions for one call strace heeds the later, a policy the first
    translated = [each for rule in rules for each in _rules(rule, _filter(paths))]
    notes = [note for rule in rules for note in _notes(rule, paths)]
    return Translation(policy=Policy(items=tuple(dict.fromkeys(translated))), notes=tuple(dict.fromkeys(notes)))


def _options(text: str) -> tuple[tuple[str, ...], tuple[StraceRule, ...]]:
    """The paths of -P and the expressions of -e."""
    if re.match(r"(inject|fault)[ \t]*=", text):
        return (), (parse_strace(text, source="--from-strace"),)
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}; close it") from None
    paths: list[str] = []
    rules: list[StraceRule] = []
    for word in words:
        option, equals, value = word.partition("=")
        if option in ("-P", "--trace-path"):
            paths.append(value if equals else next(words, ""))
        elif option in ("-e", "--inject", "--fault") or word.startswith(("-einject", "-efault")):
            expression = next(words, "") if word == "-e" else word.removeprefix("--").removeprefix("-e")
            rules.append(parse_strace(expression, source="--from-strace"))
        elif word not in IGNORED:
            raise UsageError(f"{word!r}: neither -e inject=..., -e fault=... nor -P PATH; leave it out")
    if not rules:
        raise UsageError(f"{text!r}: no expression is in it; write inject=write:error=ENOSPC")
    return tuple(paths), tuple(rules)


def _filter(paths: tuple[str, ...]) -> Expr:
    terms = tuple(Condition(attribute="path", text=path) for path in paths)
    return Always() if not terms else terms[0] if len(terms) == 1 else Or(terms=terms)


def _rules(rule: StraceRule, expr: Expr) -> Iterator[Rule | StraceRule]:
    if rule.syscall is not None or rule.poke_enter or rule.poke_exit:
        yield rule
        return
    for name in _names(rule):
        yield Rule(
            syscall=name,
            expr=expr,
            verdict=_verdict(rule),
            signal=rule.signal,
            delay_entry_ns=rule.delay_enter_ns,
            delay_exit_ns=rule.delay_exit_ns,
            when=rule.when,
        )


def _names(rule: StraceRule) -> tuple[str, ...]:
    """A class stays a class where it stands alone: its window counts each call by itself only in a rule of its own."""
    counts = rule.when is not None or rule.inverted
    if not counts and all(each.text.startswith("%") for each in rule.selections):
        return tuple(each.text for each in rule.selections)
    return tuple(map(exactly, selected(rule)))


def exactly(call: str) -> str:
    """The call alone, where its bare name means a family."""
    return call if members(call) == (call,) else f"{call}@64"


def _verdict(rule: StraceRule) -> Verdict:
    if rule.error is not None or rule.fault:
        return Deny(errno=rule.error or ENOSYS)
    return Permit() if rule.retval is None else Retval(value=rule.retval)


def _notes(rule: StraceRule, paths: tuple[str, ...]) -> Iterator[str]:
    calls = selected(rule)
    if rule.syscall is not None or rule.poke_enter or rule.poke_exit:
        yield "syscall=, poke_enter= and poke_exit= have no form of their own in a rule: the line stands as it is"
        if paths:
            yield "a line of strace's takes no filter: -P is left out of it"
        return
    if rule.when is not None:
        yield "`when` counts over the whole run, all processes and threads together; strace counts for each thread"
    number = rule.error or (ENOSYS if rule.fault else None)
    if number is not None:
        yield from _of_errno(calls, number)


def _of_errno(calls: tuple[str, ...], number: int) -> Iterator[str]:
    name = syscalls.errno_name(number)
    if "close" in calls:
        yield f"close: deny[{name.lower()}] has released the descriptor, as Linux has; strace leaves it open: suppress"
    if "brk" in calls:
        yield "brk: what fails returns the old break, as Linux does; strace returns the errno itself"
    committed = [each for each in calls if each != "close" and _commits(each, number)]
    if committed:
        yield f"{', '.join(committed)}: it happens, then fails, as Linux does it with {name}; strace leaves it undone"
    if number == EINTR:
        yield "EINTR: Linux returns it when a handler has run; add signal[NAME] where the program waits for it"
    if number == EPIPE:
        yield "EPIPE: the program gets its SIGPIPE as well, as in Linux; strace sends none"


def _commits(call: str, number: int) -> bool:
    fact = syscalls.get(call).find_errno(number)
    return fact is not None and fact.effect == "commit"
