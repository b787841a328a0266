"""Nodes to text, one canonical way: parse(unparse(policy)) == policy."""

from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

from inject.linux import syscalls
from inject.policy import names
from inject.policy.model import (
    HEADER,
    Always,
    And,
    Ask,
    Child,
    Commit,
    Condition,
    Corrupt,
    Deny,
    Expr,
    Item,
    Not,
    Or,
    Partial,
    Permit,
    Poke,
    Policy,
    Retval,
    Rule,
    Section,
    StraceRule,
    Suppress,
    Verdict,
    When,
)

ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def unparse(policy: Policy) -> str:
    """The whole text, with its header line and a newline at its end."""
    return "\n".join((HEADER, *(line for item in policy.items for line in _lines(item)))) + "\n"


def unparse_rule(rule: Rule | StraceRule) -> str:
    return _rule(rule) if isinstance(rule, Rule) else _strace(rule)


def _lines(item: Item) -> Iterator[str]:
    match item:
        case Rule() | StraceRule():
            yield unparse_rule(item)
        case Section():
            yield f"Policy: {item.program}, Emulation: {item.emulation}"
            if item.detached:
                yield "detached"
        case Child():
            yield f"child {_string(item.program)} {{"
            for rule in item.rules:
                yield from ("  " + line for line in _lines(rule))
            yield "}"
        case _:
            assert_never(item)


def _rule(rule: Rule) -> str:
    name = f"{rule.emulation}-{rule.syscall}" if rule.emulation else rule.syscall
    action = " ".join((_verdict(rule.verdict), *_modifiers(rule)))
    simple = isinstance(rule.expr, Always) and action in ("permit", "deny")
    text = f"{name}: {action}" if simple else f"{name}: {_expr(rule.expr)} then {action}"
    if rule.identity:
        text += f", if {rule.identity.subject} {rule.identity.comparison} {rule.identity.name}"
    return text


def _expr(expr: Expr) -> str:
    match expr:
        case Always():
            return "true"
        case Condition():
            index = "" if expr.index is None else f"[{expr.index}]"
            return f"{expr.attribute}{index} {expr.operator} {_string(expr.text)}"
        case Not():
            return f"not {_within(expr.term)}"
        case And():
            return " and ".join(map(_within, expr.terms))
        case Or():
            return " or ".join(map(_within, expr.terms))
    assert_never(expr)


def _within(expr: Expr) -> str:
    """Parentheses stand wherever a reader could wonder."""
    return f"({_expr(expr)})" if isinstance(expr, And | Or) else _expr(expr)


def _verdict(verdict: Verdict) -> str:
    match verdict:
        case Permit():
            return f"permit[{verdict.mode}]" if verdict.mode else "permit"
        case Deny():
            return "deny" if verdict.errno is None else f"deny[{_errno(verdict.errno)}]"
        case Suppress():
            return f"suppress[{_errno(verdict.errno)}]"
        case Commit():
            return f"commit[{_errno(verdict.errno)}]"
        case Partial():
            return f"partial[{verdict.count}]"
        case Corrupt():
            return f"corrupt[{verdict.count}] seed {verdict.seed}"
        case Retval():
            return f"retval[{verdict.value}]"
        case Ask():
            return "ask" if verdict.patience_ns is None else f"ask[{names.duration(verdict.patience_ns)}]"
    assert_never(verdict)


def _modifiers(rule: Rule) -> Iterator[str]:
    if rule.signal is not None:
        yield f"signal[{names.signal_name(rule.signal)}]"
    if rule.delay_entry_ns:
        yield f"delay[{names.duration(rule.delay_entry_ns)}]"
    if rule.delay_exit_ns:
        yield f"delay_exit[{names.duration(rule.delay_exit_ns)}]"
    if rule.log:
        yield "log"
    if rule.run_as:
        yield "as " + ":".join(part for part in rule.run_as if part is not None)
    if rule.once:
        yield "once"
    if rule.when:
        yield f"when {_when(rule.when)}"
    if rule.after is not None:
        yield f"after {rule.after}"
    if rule.limit is not None:
        yield f"limit {rule.limit}"
    if rule.until_freed:
        yield "until freed"
    if rule.chance:
        yield f"probability {Decimal(repr(rule.chance.probability)):f} seed {rule.chance.seed}"
    if rule.group:
        yield f"xor {rule.group}"


def _when(when: When) -> str:
    if when.last is None:
        return f"{when.first}+" if when.step == 1 else f"{when.first}+{when.step}"
    if when.last == when.first:
        return f"{when.first}"
    return f"{when.first}..{when.last}" + ("" if when.step == 1 else f"+{when.step}")


def _strace(rule: StraceRule) -> str:
    members = ",".join("?" * member.optional + member.text for member in rule.selections)
    parts = [("fault=" if rule.fault else "inject=") + "!" * rule.inverted + members]
    if rule.error is not None:
        parts.append(f"error={syscalls.errno_name(rule.error)}")
    if rule.retval is not None:
        parts.append(f"retval={rule.retval}")
    if rule.signal is not None:
        parts.append(f"signal={names.signal_name(rule.signal)}")
    if rule.syscall is not None:
        parts.append(f"syscall={rule.syscall}")
    if rule.delay_enter_ns:
        parts.append(f"delay_enter={names.duration(rule.delay_enter_ns)}")
    if rule.delay_exit_ns:
        parts.append(f"delay_exit={names.duration(rule.delay_exit_ns)}")
    if rule.poke_enter:
        parts.append(f"poke_enter={_pokes(rule.poke_enter)}")
    if rule.poke_exit:
        parts.append(f"poke_exit={_pokes(rule.poke_exit)}")
    if rule.when:
        parts.append(f"when={_when(rule.when)}")
    return ":".join(parts)


def _pokes(pokes: tuple[Poke, ...]) -> str:
    return ",".join(f"@arg{poke.argument}={poke.data.hex()}" for poke in pokes)


def _errno(number: int) -> str:
    return syscalls.errno_name(number).lower()


def _string(text: str) -> str:
    return f'"{text.translate(ESCAPES)}"'
