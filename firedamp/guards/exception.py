"""A Python harness let an exception through: the process ends, as by exit in a harness of C."""

from firedamp.finding import Detection, Severity
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import OWN_FRAMES, function_name, innermost_own, own_frames, where
from firedamp.outcome import Exited, Outcome


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    if not outcome.uncaught or outcome.ending != Exited(status=1):
        return ()
    frame = innermost_own(outcome.uncaught_stack)
    exception = outcome.uncaught.partition(":")[0]
    functions = (function_name(frame) for frame in own_frames(outcome.uncaught_stack)[:OWN_FRAMES])
    return (
        Detection(
            guard=GUARD.name,
            kind="exit",
            cwe=248,
            severity=Severity.LOW,
            place=(exception, *functions),
            frame=frame,
            message=f"{outcome.uncaught} in {where(frame)}",
            evidence=(f"uncaught {outcome.uncaught}",),
            stack=outcome.uncaught_stack,
        ),
    )


GUARD = Guard(name="exception", needs=frozenset({Armed.EXIT}), judge=judge)
