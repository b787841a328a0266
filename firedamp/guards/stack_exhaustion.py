"""The stack ran out: endless recursion, or one object larger than the rest of it."""

from collections import Counter

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, where
from firedamp.outcome import Fatal, Outcome

DEEPEST = 64  # frames that are looked at: a few turns of any cycle that a person would call recursion


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or not fatal.stack_exhausted:
        return ()
    cycle = recursion(fatal)
    innermost = innermost_own(fatal.stack)
    says = f"recursion of {', '.join(cycle)}" if cycle else f"one call of {where(innermost)}"
    return detect(
        fatal,
        guard=GUARD.name,
        kind="stack-exhaustion",
        cwe=674 if cycle else 770,
        severity=Severity.MEDIUM,
        message=f"{says} used up the stack",
        frame=next((frame for frame in fatal.stack if frame.own and function_name(frame) in cycle), innermost),
        at=_place(cycle, fatal),
    )


def _place(cycle: tuple[str, ...], fatal: Fatal) -> tuple[str, ...]:
    """The function of the cycle with the most calls on the stack: a limit in it repairs every cycle through it."""
    if cycle:
        turns = _whole_turns([function_name(frame) for frame in fatal.stack[:DEEPEST] if frame.own], cycle)
        return (min(cycle, key=lambda name: (-turns[name], name)),)
    innermost = innermost_own(fatal.stack)
    return (function_name(innermost),) if innermost is not None else ()


def _whole_turns(names: list[str], cycle: tuple[str, ...]) -> Counter[str]:
    """Without the part of a turn that the stack happened to end in."""
    inside = [name for name in names if name in cycle]
    last = len(inside) - 1 - inside[::-1].index(inside[0])
    return Counter(inside[:last])


def recursion(fatal: Fatal) -> tuple[str, ...]:
    """Sorted names of the functions that call each other in a circle; a leaf that happened to be deepest is not one."""
    names = Counter(function_name(frame) for frame in fatal.stack[:DEEPEST] if frame.own)
    return tuple(sorted(name for name, count in names.items() if count > 2))


GUARD = Guard(name="stack_exhaustion", needs=frozenset({Armed.SIGNALS}), judge=judge)
