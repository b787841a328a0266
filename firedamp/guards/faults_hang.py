"""Oracle of runs under faults: after the fault the program does not come to its end, while the clean run does."""

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import stack_lines
from firedamp.guards.faults_effect import evidence, fault_frame, fault_name, fault_place
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, where
from firedamp.outcome import Outcome, Stall, TimedOut

KINDS = {
    Stall.DEADLOCK: ("deadlock", 833),
    Stall.LIVELOCK: ("livelock", 835),
    Stall.BUSY: ("hang", 835),
    Stall.WAITING: ("hang", 835),
}


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    if not isinstance(outcome.ending, TimedOut) or not outcome.strikes:
        return ()
    if outcome.baseline is not None and isinstance(outcome.baseline.ending, TimedOut):
        return ()  # it never ends: no doing of the fault's
    kind, cwe = KINDS[outcome.ending.stall]
    strike = outcome.strikes[0]
    ends = "; the clean run ends" if outcome.baseline is not None else ""
    stuck = innermost_own(outcome.stall_stack)
    frame = stuck or fault_frame(strike)
    return (
        Detection(
            guard=GUARD.name,
            kind=kind,
            cwe=cwe,
            severity=Severity.MEDIUM,
            # The function, not the instruction: where a loop is when time is up is chance.
            place=(function_name(stuck),) if stuck is not None else fault_place(strike),
            frame=frame,
            message=f"{fault_name(outcome)}: still in {where(frame)} after {outcome.wall_s:.1f} s "
            f"({outcome.ending.stall.value}){ends}",
            evidence=evidence(outcome, *stack_lines(outcome.stall_stack)),
            stack=outcome.stall_stack or strike.stack,
        ),
    )


GUARD = Guard(name="faults-hang", needs=frozenset({Armed.FAULTS, Armed.CLOCK}), judge=judge)
