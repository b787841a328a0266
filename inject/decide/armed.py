"""One rule at work in one run: which calls it matches, its counts, and whether its window is open."""

import os
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from firedamp.trace.protocol import Call
from inject.decide.attributes import View, is_nameless
from inject.decide.lineage import real_scope
from inject.decide.match import holds
from inject.linux.users import Person, compares, find_group, find_user, person, real_ids
from inject.policy.check import conditions
from inject.policy.model import (
    EVERYWHERE,
    Commit,
    Condition,
    Deny,
    Identity,
    Operator,
    Rule,
    Scope,
    StraceRule,
    Suppress,
)
from inject.policy.names import ALLOCATION

ALIASES: Final = ("fsread", "fswrite", "stat", "lstat", "fstat")  # names that are for some of a call's uses only


@dataclass(slots=True, kw_only=True)
class Armed:
    """One rule and its counts in this run."""

    index: int
    rule: Rule | StraceRule
    scope: Scope = EVERYWHERE
    identity: tuple[bool, str, int] | None = None  # is it of users? comparison, number
    person: Person | None = None  # whose rights are asked for
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    matched: int = 0
    fired: int = 0
    by_site: bool = False
    site: str | None = None  # all that the rule asks, as in the rules of a sweep
    of_allocations: bool = False
    counts_calls: bool = False  # every matching call must be counted, also where an earlier rule decides
    dice: random.Random | None = None

    def count(self, call: Call) -> int:
        """This matching call's number, from 1."""
        self.matched += 1
        if isinstance(self.rule, Rule):
            return self.matched
        self.counts[call.tid, call.number] += 1
        return self.counts[call.tid, call.number]

    def due(self, nth: int) -> bool:
        """Is the nth matching call inside the rule's window?"""
        rule = self.rule
        if rule.when is not None and not rule.when.holds(nth):
            return False
        if isinstance(rule, StraceRule):
            return True
        if rule.after is not None and nth <= rule.after:
            return False
        if self.spent and not rule.grants:
            return False
        return rule.chance is None or self.draw() < rule.chance.probability

    @property
    def spent(self) -> bool:
        if isinstance(self.rule, StraceRule):
            return False
        limit = 1 if self.rule.once else self.rule.limit
        return limit is not None and self.fired >= limit

    @property
    def is_over(self) -> bool:
        """No later call can be inside the rule's window."""
        if isinstance(self.rule, StraceRule) or self.rule.grants:
            return False
        last = self.rule.when.last if self.rule.when is not None else None
        return self.spent or (last is not None and self.matched >= last)

    def draw(self) -> float:
        assert self.dice is not None
        return self.dice.random()

    def matches(self, view: View, macros: Mapping[str, str]) -> bool:
        """In a process that the rule is for."""
        if self.site is not None:
            return view.site == self.site
        rule = self.rule
        if isinstance(rule, StraceRule):
            return True
        if self.identity is not None and not _is_of(view.call.pid, *self.identity):
            return False
        return in_alias(rule.syscall, view) and holds(rule.expr, view, macros)


def arm(index: int, rule: Rule | StraceRule, scope: Scope) -> Armed:
    armed = Armed(index=index, rule=rule, scope=real_scope(scope))
    armed.counts_calls = rule.when is not None
    if isinstance(rule, Rule):
        armed.by_site = any(condition.attribute == "site" for condition in conditions(rule.expr))
        armed.of_allocations = rule.syscall == ALLOCATION
        armed.counts_calls |= rule.after is not None or rule.chance is not None
        armed.dice = random.Random(rule.chance.seed) if rule.chance else None
        armed.person = person(*rule.run_as) if rule.run_as else None
        armed.identity = _identity(rule.identity) if rule.identity else None
        armed.site = _only_site(rule)
    return armed


def _only_site(rule: Rule) -> str | None:
    """The hot path: a sweep's rule is looked at in each of its calls, and the digest of a stack has one case."""
    expr = rule.expr
    if rule.identity is not None or rule.syscall in ALIASES or not isinstance(expr, Condition):
        return None
    return expr.text.lower() if (expr.attribute, expr.operator) == ("site", Operator.EQ) else None


def _identity(identity: Identity) -> tuple[bool, str, int]:
    users = identity.subject == "user"
    number = (find_user if users else find_group)(identity.name)
    assert number is not None, identity  # check() asked
    return users, identity.comparison, number


def denied_errno(rule: Rule) -> int | None:
    return rule.verdict.errno if isinstance(rule.verdict, Deny | Suppress | Commit) else None


def _is_of(pid: int, users: bool, comparison: str, number: int) -> bool:
    """Does the process belong to such a user, or group?"""
    ids = real_ids(pid)
    return ids is not None and compares(ids[0 if users else 1], comparison, number)


def in_alias(name: str, view: View) -> bool:
    """fsread is open for reading alone, fswrite any other open (systrace(4)); other names are whole families, and of
    one call that does both, stat is what looks up a name, fstat what asks of a descriptor."""
    if name not in ALIASES:
        return True
    if name in ("fsread", "fswrite") and view.opens:
        return reads_only(view) == (name == "fsread")
    if name != "fswrite" and view.name in ("newfstatat", "statx"):
        return is_nameless(view) == (name == "fstat")
    return True


def reads_only(view: View) -> bool:
    """Of an open: neither writes nor makes the file."""
    return not (view.open_flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
