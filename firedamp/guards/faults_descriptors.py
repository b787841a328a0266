"""Oracle of runs under faults: a descriptor that nobody closes any more, that is closed twice, or that is none.

A program that dies of an error may leave its descriptors to the kernel. They are leaked when their owner is gone: the
function that opens and closes them in the clean run has returned; or when the program has gone on to the next one.
Which calls were the same activation of a function is told by their stacks: equal frames, from the outermost inwards.
"""

from collections import Counter
from collections.abc import Iterator

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import evidence, fault_name, same_ending, shown_path
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, label, place, where
from firedamp.outcome import Aftermath, Frame, Held, Misuse, Outcome

# They only ask, often on purpose, whether there is something behind a number.
QUERIES = frozenset({"fcntl", "fstat", "ioctl", "lseek", "fstatfs", "fadvise64", "getsockopt", "getpeername", "poll"})
STANDARD = frozenset({0, 1, 2})  # whoever starts a program may leave them closed, and the next file gets the number
LOOP = 3  # numbers that one place closes in a row: a daemon's or a shell's sweep, not a clean-up path

Start = tuple[str, int]  # module and address of a function


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    after = outcome.aftermath
    if after is None or not outcome.strikes:
        return ()
    return (*_leaks(outcome, after), *_misuses(outcome, after))


# -- left open ------------------------------------------------------------------------------------------------------


def _leaks(outcome: Outcome, after: Aftermath) -> Iterator[Detection]:
    if not after.exit_stack:
        return
    for held in after.held:
        name = _name(held.path, outcome)
        if held.again:
            text = f"descriptor {held.fd} ({name}) stays open while the same place makes the next one"
            yield _leak(outcome, held, text, Standing.FINDING)
            continue
        lost = owner_gone(held, outcome.strikes[0].stack, after.exit_stack)
        if lost is None:
            continue
        owner, standing = lost
        how = "has returned without closing it" if standing is Standing.FINDING else "has returned"
        yield _leak(outcome, held, f"descriptor {held.fd} ({name}) is open at exit, and {owner}() {how}", standing)


def owner_gone(held: Held, strike: tuple[Frame, ...], exit_stack: tuple[Frame, ...]) -> tuple[str, Standing] | None:
    """The function that has returned, though the fault struck inside it and it should have closed the descriptor.

    A hint where the clean run closes it further out: then it may have been handed over to somebody who still knows it.
    And where the program may have jumped out of the function to its end (shells, interpreters), or where the clean run,
    too, returns from it before another call of it closes the descriptor.
    """
    inside, owner = joint(held.opened, strike), joint(held.opened, held.closed)
    if inside is None or (owner is not None and owner > inside):
        return None
    for depth, standing in ((owner, Standing.FINDING), (inside, Standing.HINT)):
        if depth is not None and _has_returned(held.opened, depth, exit_stack):
            shared = (joint(held.opened, each) for each in held.meanwhile)
            kept = any(each is not None and each < depth for each in shared)
            return function_name(held.opened[-1 - depth]), Standing.HINT if held.jumps or kept else standing
    return None


def _has_returned(stack: tuple[Frame, ...], depth: int, exit_stack: tuple[Frame, ...]) -> bool:
    """The program's own function at that depth; main and its like only end with the program."""
    frame = stack[-1 - depth]
    return frame.own and depth > _main(stack) and start(frame) not in {start(each) for each in exit_stack}


def _main(stack: tuple[Frame, ...]) -> int:
    """The depth of main, or of a thread's first function: the C runtime calls it, whom _start may have called."""
    own = [frame.own for frame in reversed(stack)]
    runtime = own.index(False) if False in own[:2] else 0
    return own.index(True, runtime) if True in own[runtime:] else len(own)


def joint(one: tuple[Frame, ...], other: tuple[Frame, ...]) -> int | None:
    """How deep from the outermost the innermost activation lies that made both calls; None where that is unknown."""
    for depth, (a, b) in enumerate(zip(reversed(one), reversed(other), strict=False)):
        if (a.module, a.offset) != (b.module, b.offset):
            return depth if start(a) is not None and start(a) == start(b) else None
    return None


def start(frame: Frame) -> Start | None:
    return None if frame.function_offset is None else (frame.module, frame.offset - frame.function_offset)


def _leak(outcome: Outcome, held: Held, text: str, standing: Standing) -> Detection:
    return Detection(
        guard=GUARD.name,
        kind="fd-leak",
        cwe=775,  # missing release of file descriptor or handle
        severity=Severity.MEDIUM if standing is Standing.FINDING else Severity.INFO,
        place=_place(held.opened),
        frame=innermost_own(held.opened),
        standing=standing,
        message=f"{fault_name(outcome)}: {text}; the clean run closes it in {where(innermost_own(held.closed))}",
        evidence=evidence(outcome),
        stack=held.opened,
    )


# -- closed twice, or none ------------------------------------------------------------------------------------------


def _misuses(outcome: Outcome, after: Aftermath) -> Iterator[Detection]:
    in_a_row = Counter(each.stack for each in after.misuses if each.syscall == "close")
    for misuse in after.misuses:
        if misuse.syscall != "close":
            yield _stale(outcome, misuse)
        elif misuse.fd >= 0 and in_a_row[misuse.stack] < LOOP:  # close(-1) of a clean-up path does nothing
            yield _closed_twice(outcome, misuse)


def _closed_twice(outcome: Outcome, misuse: Misuse) -> Detection:
    was = f" ({_name(misuse.path, outcome)})" if misuse.path else ""
    text = f"descriptor {misuse.fd}{was} is closed again in {where(innermost_own(misuse.stack))}"
    severity = Severity.MEDIUM if _counts(outcome, misuse) else Severity.INFO
    return _misused(outcome, misuse, "double-close", 1341, severity, text)


def _counts(outcome: Outcome, misuse: Misuse) -> bool:
    """close(2): after a failure nobody can tell on every Unix whether the number is free, so sound programs without
    threads close again in their clean-up, or try again and take EBADF for success (dd does)."""
    if misuse.fd in STANDARD:
        return False
    tried_again = misuse.at_once and _function(outcome.strikes[0].stack) == _function(misuse.stack)
    return not (misuse.failed and misuse.alone) or (tried_again and not same_ending(outcome))


def _function(stack: tuple[Frame, ...]) -> str | None:
    frame = innermost_own(stack)
    return None if frame is None else function_name(frame)


def _stale(outcome: Outcome, misuse: Misuse) -> Detection:
    severity = Severity.INFO if misuse.syscall in QUERIES or misuse.fd in STANDARD else Severity.LOW
    what = f"of descriptor {misuse.fd}" if misuse.fd < 0 else f"of closed descriptor {misuse.fd}"
    was = f" ({_name(misuse.path, outcome)})" if misuse.path else ""
    text = f"{misuse.syscall} {what}{was} in {where(innermost_own(misuse.stack))}"
    return _misused(outcome, misuse, "stale-descriptor", 910, severity, text)


def _misused(outcome: Outcome, misuse: Misuse, kind: str, cwe: int, severity: Severity, text: str) -> Detection:
    return Detection(
        guard=GUARD.name,
        kind=kind,
        cwe=cwe,
        severity=severity,
        place=_place(misuse.stack),
        frame=innermost_own(misuse.stack),
        standing=Standing.HINT if severity is Severity.INFO else Standing.FINDING,
        message=f"{fault_name(outcome)}: {text}",
        evidence=evidence(outcome),
        stack=misuse.stack,
    )


def _place(stack: tuple[Frame, ...]) -> tuple[str, ...]:
    return place(stack) or tuple(label(frame) for frame in stack[-1:]) or ("?",)


def _name(path: str | None, outcome: Outcome) -> str:
    return "of unknown origin" if path is None else shown_path(path, outcome.scene)


GUARD = Guard(name="faults-descriptors", needs=frozenset({Armed.FAULTS}), judge=judge)
