"""Oracle of runs under faults: after the fault the program does not come to its end, while the clean run does."""

from collections import Counter

from firedamp.finding import Detection, Severity
from firedamp.guards.faults_effect import decisive, evidence, fault_frame, fault_name, fault_place
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import function_name, innermost_own, where
from firedamp.outcome import Outcome, Stall, TimedOut

KINDS = {
    Stall.DEADLOCK: ("deadlock", 833),
    Stall.LIVELOCK: ("livelock", 835),
    Stall.BUSY: ("hang", 835),
    Stall.WAITING: ("hang", 835),
}
ENDLESS = 100  # hits of one fault at one site: nobody who means to give up tries so often


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    if not isinstance(outcome.ending, TimedOut) or not outcome.strikes:
        return ()
    if outcome.baseline is not None and isinstance(outcome.baseline.ending, TimedOut):
        return ()  # it never ends: no doing of the fault's
    how = stall(outcome, outcome.ending)
    kind, cwe = KINDS[how]
    strike = decisive(outcome.strikes)
    ends = "; the clean run ends" if outcome.baseline is not None else ""
    stuck = innermost_own(outcome.stall_stack)
    if how is Stall.LIVELOCK:
        stuck = None  # where a loop is when time is up is chance; what it retries is not
    frame = stuck or fault_frame(strike)
    return (
        Detection(
            guard=GUARD.name,
            kind=kind,
            cwe=cwe,
            severity=Severity.MEDIUM,
            place=(function_name(stuck),) if stuck is not None else fault_place(strike),
            frame=frame,
            message=f"{fault_name(outcome)}: still in {where(frame)} after {outcome.wall_s:.1f} s ({how.value}){ends}",
            evidence=evidence(outcome),
            stack=outcome.stall_stack or strike.stack,
        ),
    )


def stall(outcome: Outcome, ending: TimedOut) -> Stall:
    """Between two tries of an endless retry a program may look asleep: the faults themselves are the better witness."""
    hits = Counter(strike.site for strike in outcome.strikes)
    return Stall.LIVELOCK if max(hits.values()) >= ENDLESS else ending.stall


GUARD = Guard(name="faults-hang", needs=frozenset({Armed.FAULTS, Armed.CLOCK}), judge=judge)
