"""The run used up its time or its memory. Under faults, what a stalled run means is judged elsewhere."""

from firedamp.finding import Detection, Severity
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, where
from firedamp.outcome import Frame, Outcome, OutOfMemory, Stall, TimedOut

MEBIBYTE = 1 << 20


def judge_timeout(outcome: Outcome) -> tuple[Detection, ...]:
    if not isinstance(outcome.ending, TimedOut) or outcome.strikes:
        return ()
    frame = innermost_own(outcome.stall_stack)
    return (
        Detection(
            guard=TIMEOUT.name,
            kind="timeout",
            cwe=833 if outcome.ending.stall is Stall.DEADLOCK else 835,
            severity=Severity.MEDIUM,
            place=_function(frame),
            frame=frame,
            message=f"still in {where(frame)} at the {outcome.ending.limit} limit ({outcome.ending.stall.value})",
            evidence=(f"{outcome.wall_s:.1f} s wall, {outcome.cpu_s:.1f} s cpu",),
            stack=outcome.stall_stack,
        ),
    )


def judge_memory(outcome: Outcome) -> tuple[Detection, ...]:
    if not isinstance(outcome.ending, OutOfMemory):
        return ()
    frame = innermost_own(outcome.stall_stack)
    used = outcome.ending.resident_bytes // MEBIBYTE
    return (
        Detection(
            guard=MEMORY.name,
            kind="oom",
            cwe=770,
            severity=Severity.MEDIUM,
            place=_function(frame),
            frame=frame,
            message=f"used {used} MiB of memory" + (f" in {where(frame)}" if frame is not None else ""),
            evidence=(f"resident {outcome.ending.resident_bytes} bytes",),
            stack=outcome.stall_stack,
        ),
    )


def _function(frame: Frame | None) -> tuple[str, ...]:
    """Where a loop is when the clock strikes is chance, down to the offset; the function mostly is not."""
    return () if frame is None else (function_name(frame),)


TIMEOUT = Guard(name="timeout", needs=frozenset({Armed.CLOCK}), judge=judge_timeout)
MEMORY = Guard(name="memory", needs=frozenset({Armed.MEMORY}), judge=judge_memory)
