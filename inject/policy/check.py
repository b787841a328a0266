"""What is well written but cannot be carried out, or not on this machine, is refused here: never ignored."""

from collections.abc import Iterator, Set
from errno import EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC
from typing import NoReturn

from firedamp.errors import PolicyError
from inject.linux import syscalls
from inject.linux.buffers import CORRUPTIBLE, COUNTED, VECTORED
from inject.linux.users import find_group, find_user
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
    Or,
    Partial,
    Permit,
    Policy,
    Rule,
    Span,
    StraceRule,
)
from inject.policy.strace import selected

FREEABLE = (EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC)  # of which there is more once something is given back


def check(policy: Policy) -> Policy:
    """The same policy, if every part of it can be carried out here. PolicyError at the first part that cannot."""
    for rule in policy.rules:
        if isinstance(rule, Rule):
            _check_rule(policy, rule)
        else:
            _check_pokes(policy, rule)
    return policy


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


def _check_pokes(policy: Policy, rule: StraceRule) -> None:
    """Some call of the set must have the argument."""
    most = max((len(syscalls.get(name).parameters) for name in targets(rule)), default=6)
    for poke in (*rule.poke_enter, *rule.poke_exit):
        if poke.argument > most:
            _refuse(policy, f"@arg{poke.argument}: these calls have {most} arguments at most", rule.span)


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
    if rule.group is not None:
        _refuse(policy, "malloc: an allocation is no choice between rules; leave xor out", rule.span)
    if rule.signal is not None or rule.delay_entry_ns or rule.delay_exit_ns:
        _refuse(policy, "malloc: an allocation takes no signal and no delay; name brk, mmap or mremap", rule.span)
    for condition in conditions(rule.expr):
        if condition.attribute not in ("site", "caller"):
            message = f"malloc: an allocation has no {condition.attribute}; only site and caller can be tested"
            _refuse(policy, message, condition.span)


def _listed(errnos: tuple[int, ...]) -> str:
    *most, last = (syscalls.errno_name(number).lower() for number in errnos)
    return f"{', '.join(most)} and {last}"


def _refuse(policy: Policy, message: str, span: Span) -> NoReturn:
    raise PolicyError(message, line=span.line, column=span.column, source=policy.source)
