"""What is well written but not carried out is refused here, never ignored; what is legal but surprising gets a note."""

from collections.abc import Iterator, Set
from errno import EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC, EPIPE
from typing import NoReturn

from firedamp.errors import PolicyError
from inject import syscalls
from inject.buffers import CORRUPTIBLE, COUNTED, VECTORED
from inject.policy import names
from inject.policy.model import (
    INDEXED,
    And,
    Ask,
    Condition,
    Corrupt,
    Deny,
    Expr,
    Not,
    Note,
    Operator,
    Or,
    Partial,
    Permit,
    Policy,
    Rule,
    Span,
    StraceRule,
)
from inject.policy.strace import selected
from inject.users import find_group, find_user

FREEABLE = (EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC)  # of which there is more once something is given back


def check(policy: Policy) -> Policy:
    """The same policy, if every part of it can be carried out here. PolicyError at the first part that cannot."""
    for rule in policy.rules:
        if isinstance(rule, Rule):
            _check_rule(policy, rule)
    return policy


def lint(policy: Policy) -> tuple[Note, ...]:
    """What a person should know about a policy that is legal, in the order of the text."""
    return tuple(note for rule in policy.rules for note in _notes(rule))


def targets(rule: Rule | StraceRule) -> tuple[str, ...]:
    """The kernel's names of the calls that a rule is about; empty when it can never fire."""
    if isinstance(rule, StraceRule):
        return selected(rule)
    return names.members(rule.syscall) or ()


def conditions(expr: Expr) -> Iterator[Condition]:
    """Every test of a filter, left to right."""
    match expr:
        case Condition():
            yield expr
        case Not():
            yield from conditions(expr.term)
        case And() | Or():
            for term in expr.terms:
                yield from conditions(term)
        case _:
            pass


def _check_rule(policy: Policy, rule: Rule) -> None:
    for condition in conditions(rule.expr):
        if condition.index and condition.attribute not in INDEXED:
            message = f"{condition.attribute}[{condition.index}]: only {', '.join(INDEXED)} have several"
            _refuse(policy, message, condition.span)
    if rule.until_freed and getattr(rule.verdict, "errno", None) not in FREEABLE:
        _refuse(policy, f"until freed: it ends {_listed(FREEABLE)}, which this rule does not deny", rule.span)
    if rule.syscall == names.ALLOCATION:
        _check_allocation(policy, rule)
    match rule.verdict:
        case Partial():
            _check_touched(policy, rule, {*COUNTED, *VECTORED}, "partial: {} has no count that could be made shorter")
        case Corrupt():
            _check_touched(policy, rule, CORRUPTIBLE, "corrupt: {} neither reads nor writes data in its memory")
        case Permit(mode=str(mode)):
            starting = frozenset(syscalls.families()["execve"])
            _check_touched(policy, rule, starting, f"permit[{mode}]: {{}} starts no program; write it of execve")
        case _:
            pass
    _check_people(policy, rule)


def _check_people(policy: Policy, rule: Rule) -> None:
    if rule.run_as and not isinstance(rule.verdict, Permit | Ask):
        _refuse(policy, "`as` goes with permit and ask: what is denied is denied to everybody", rule.span)
    users, groups = [], []
    if rule.run_as:
        users, groups = [rule.run_as[0]], [rule.run_as[1]]
    if rule.identity:
        (users if rule.identity.subject == "user" else groups).append(rule.identity.name)
    for name in users:
        if find_user(name) is None:
            _refuse(policy, f"this machine has no user {name!r}; write a name that `id` knows, or a number", rule.span)
    for group in groups:
        if group is not None and find_group(group) is None:
            _refuse(policy, f"this machine has no group {group!r}; write one of /etc/group, or a number", rule.span)


def _check_touched(policy: Policy, rule: Rule, touched: Set[str], message: str) -> None:
    """Some call of the rule's must be among those that its action can touch."""
    calls = targets(rule)
    if calls and not touched & {*calls}:
        _refuse(policy, message.format(rule.syscall), rule.span)


def _check_allocation(policy: Policy, rule: Rule) -> None:
    """An allocation fails in one way only, and there is nothing to see of it but who asks."""
    if not isinstance(rule.verdict, Deny) or rule.verdict.errno not in (None, ENOMEM):
        _refuse(policy, "malloc: an allocation can only fail with ENOMEM; write deny[enomem]", rule.span)
    if rule.until_freed:
        _refuse(
            policy, "malloc: what free(3) gives back is not seen; until freed is for brk, mmap and mremap", rule.span
        )
    if rule.signal is not None or rule.delay_entry_ns or rule.delay_exit_ns:
        _refuse(policy, "malloc: an allocation takes no signal and no delay; name brk, mmap or mremap", rule.span)
    for condition in conditions(rule.expr):
        if condition.attribute not in ("site", "caller"):
            message = f"malloc: an allocation has no {condition.attribute}; only site and caller can be tested"
            _refuse(policy, message, condition.span)


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
    if isinstance(rule.verdict, Permit) and (rule.once or rule.limit):
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
    named = condition.attribute in ("filename", "path")
    if named and condition.operator is Operator.MATCH and not condition.text.startswith(("/", "$HOME", "$CWD")):
        message = f"{condition.text!r} holds in any folder (in systrace, whose names are absolute, it never would)"
        yield Note(message=message, span=condition.span)
    if condition.operator not in (Operator.EQ, Operator.NEQ):
        return
    if any(mark in condition.text for mark in "*?["):
        message = f"{condition.operator} is literal: it means the name {condition.text!r} itself; did you mean match?"
        yield Note(message=message, span=condition.span)
    elif named and condition.text.lower() != condition.text.upper():
        other = condition.text.swapcase()
        message = f"{condition.operator} is blind to case, as in systrace: {condition.text!r} is also {other!r}"
        yield Note(message=message, span=condition.span)


def _listed(errnos: tuple[int, ...]) -> str:
    *most, last = (syscalls.errno_name(number).lower() for number in errnos)
    return f"{', '.join(most)} and {last}"


def _refuse(policy: Policy, message: str, span: Span) -> NoReturn:
    raise PolicyError(message, line=span.line, column=span.column, source=policy.source)
