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
        at=cycle or ((function_name(innermost),) if innermost is not None else ()),
    )


def recursion(fatal: Fatal) -> tuple[str, ...]:
    """Sorted names of the functions that call each other in a circle; a leaf that happened to be deepest is not one."""
    names = Counter(function_name(frame) for frame in fatal.stack[:DEEPEST] if frame.own)
    return tuple(sorted(name for name, count in names.items() if count > 2))


GUARD = Guard(name="stack_exhaustion", needs=frozenset({Armed.SIGNALS}), judge=judge)
