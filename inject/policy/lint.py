"""What is legal in a policy, and may surprise: each a note with its place. Refuses nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from errno import EPIPE
from itertools import pairwise
from typing import Final

from inject.linux import arguments, syscalls
from inject.linux.users import ROOT, find_user
from inject.policy.check import conditions, targets
from inject.policy.model import (
    Always,
    And,
    Condition,
    Expr,
    Not,
    Note,
    Operator,
    Or,
    Policy,
    Rule,
    Scope,
    Section,
    StraceRule,
)
from inject.policy.names import ALLOCATION
from inject.policy.strace import selected

LITERAL: Final = (Operator.EQ, Operator.NEQ)


def lint(policy: Policy, beside: Sequence[Policy] = ()) -> tuple[Note, ...]:
    """In the order of the text. `beside`: all the parts, this one as well, of what is carried out as one policy."""
    notes = [note for rule in policy.rules for note in _notes(rule)]
    notes += [*_unreachable(policy), *_alone(policy, beside or (policy,)), *_detached(policy)]
    return tuple(sorted(notes, key=lambda note: (note.span.line, note.span.column)))


def _notes(rule: Rule | StraceRule) -> Iterator[Note]:
    if not targets(rule):
        yield Note(message="Linux has no such call: this rule can never fire", span=rule.span)
    yield from _strange_errno(rule)
    if isinstance(rule, StraceRule):
        if rule.error is not None and set(selected(rule)) & {"close"}:
            message = "unlike strace, an injected close releases the descriptor, as Linux does; suppress[...] would not"
            yield Note(message=message, span=rule.span)
        if rule.error == EPIPE and rule.signal is None:
            message = "unlike strace, an injected EPIPE brings its SIGPIPE, as Linux does; suppress[epipe] comes alone"
            yield Note(message=message, span=rule.span)
        return
    yield from _mixed(rule.expr)
    for condition in conditions(rule.expr):
        yield from _surprises(condition)
        yield from _absent(condition, rule)
    if rule.run_as and find_user(rule.run_as[0]) == ROOT:
        message = "as root grants nothing: the call runs with the rights that the program has"
        yield Note(message=message, span=rule.span)
    if rule.grants and (rule.once or rule.limit):
        yield Note(message="after its last permit this rule denies (EPERM)", span=rule.span)


def _strange_errno(rule: Rule | StraceRule) -> Iterator[Note]:
    """An errno that none of the rule's calls returns, by the table."""
    number = rule.error if isinstance(rule, StraceRule) else getattr(rule.verdict, "errno", None)
    calls = targets(rule)
    if number is None or not calls:
        return
    facts = [syscalls.get(name).find_errno(number) for name in calls]
    if all(fact is None or fact.tier is syscalls.Tier.IMPOSSIBLE for fact in facts):
        returned = f"{calls[0]} never returns" if len(calls) == 1 else "none of these calls returns"
        message = f"Linux: {returned} {syscalls.errno_name(number)}; the program may rightly not expect it"
        yield Note(message=message, span=rule.span)


def _mixed(expr: Expr) -> Iterator[Note]:
    match expr:
        case Or():
            if any(isinstance(term, And) and not term.grouped for term in expr.terms):
                message = "`and` binds tighter than `or` here (systrace had no precedence): write parentheses"
                yield Note(message=message, span=expr.span)
            for term in expr.terms:
                yield from _mixed(term)
        case And():
            for term in expr.terms:
                yield from _mixed(term)
        case Not():
            yield from _mixed(expr.term)
        case _:
            pass


def _surprises(condition: Condition) -> Iterator[Note]:
    named, literal = condition.attribute in ("filename", "path"), condition.operator in LITERAL
    if literal and any(mark in condition.text for mark in "*?["):
        message = f"{condition.operator} is literal: it means the name {condition.text!r} itself; did you mean match?"
        yield Note(message=message, span=condition.span)
        return
    bare = "/" not in condition.text if literal else condition.operator is Operator.MATCH
    if named and bare and not condition.text.startswith(("/", "$HOME", "$CWD")):
        message = f"{condition.text!r} holds in any folder (in systrace, whose names are absolute, it never would)"
        yield Note(message=message, span=condition.span)
    if named and literal and condition.text.lower() != condition.text.upper():
        other = condition.text.swapcase()
        message = f"{condition.operator} is blind to case, as in systrace: {condition.text!r} is also {other!r}"
        yield Note(message=message, span=condition.span, learned=True)


def _absent(condition: Condition, rule: Rule) -> Iterator[Note]:
    """A test of what none of the rule's calls has never holds, whatever it says."""
    calls = targets(rule)
    if calls and rule.syscall != ALLOCATION and not any(_has(name, condition.attribute) for name in calls):
        message = f"{rule.syscall} has no {condition.attribute}: this test never holds"
        yield Note(message=message, span=condition.span)


def _has(name: str, attribute: str) -> bool:
    return arguments.has(syscalls.get(name), attribute)


def _unreachable(policy: Policy) -> Iterator[Note]:
    """Rules whose every call an earlier one decides already."""
    settled: dict[Scope, dict[str, int]] = {}  # call -> the line of the rule that decides it
    for rule, scope in policy.scoped():
        calls, before = targets(rule), settled.setdefault(scope, {})
        if calls and all(name in before for name in calls):
            lines = sorted({before[name] for name in calls})
            earlier = f"line {lines[0]} decides" if len(lines) == 1 else "earlier rules decide"
            yield Note(message=f"{earlier} every such call: this rule can never fire", span=rule.span)
        elif isinstance(rule, Rule) and _settles(rule):
            before.update({name: rule.span.line for name in calls if name not in before})


def _settles(rule: Rule) -> bool:
    """Does it decide each of its calls? An alias of systrace's is about some of them only."""
    windows = (rule.once, rule.when, rule.after, rule.limit, rule.chance, rule.identity)
    plain = rule.syscall not in ("fsread", "fswrite", "stat", "lstat", "fstat", ALLOCATION)
    return isinstance(rule.expr, Always) and plain and not any(windows) and not rule.until_freed


def _alone(policy: Policy, parts: Sequence[Policy]) -> Iterator[Note]:
    """A choice between one rule and itself."""
    members = Counter(rule.group for part in parts for rule in part.rules if isinstance(rule, Rule))
    for rule in policy.rules:
        if isinstance(rule, Rule) and rule.group is not None and members[rule.group] == 1:
            yield Note(message=f"no other rule is in the group {rule.group}: xor excludes nothing", span=rule.span)


def _detached(policy: Policy) -> Iterator[Note]:
    for item, following in pairwise(policy.items):
        if isinstance(item, Section) and item.detached and not isinstance(following, Section):
            message = f"{item.program} is detached: the rules of its section never fire"
            yield Note(message=message, span=following.span)
