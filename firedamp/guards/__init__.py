"""What the canaries say: every guard, in order of precedence, over one outcome. Pure: nothing is read or run here.

Crash guards are exclusive: a run dies once, and the guard that knows most speaks. Oracles of runs under faults
(faults_*.py) look at what a run left behind; they are asked when it did not crash.
"""

from dataclasses import replace

from firedamp.finding import Detection, Standing
from firedamp.guards import (
    assertion,
    endings,
    exception,
    faults_data,
    faults_descriptors,
    faults_hang,
    faults_leftover,
    faults_message,
    faults_privilege,
    faults_state,
    format_arguments,
    fortify,
    heap,
    limits,
    memory_access,
    sanitizer,
    stack_exhaustion,
    stack_smash,
    terminations,
    trap,
)
from firedamp.guards.exposure import exposed
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.runtime_fault import is_the_runtimes
from firedamp.outcome import Outcome
from firedamp.target import Proof

__all__ = ["CRASH_GUARDS", "GUARDS", "ORACLES", "Armed", "Guard", "judge", "unarmed"]

CRASH_GUARDS: tuple[Guard, ...] = (
    sanitizer.GUARD,
    stack_smash.GUARD,
    format_arguments.GUARD,
    fortify.GUARD,
    heap.GUARD,
    assertion.GUARD,
    terminations.GLIBC_FATAL,
    stack_exhaustion.GUARD,
    memory_access.GUARD,
    trap.GUARD,
    terminations.ABORT,
    limits.MEMORY,
    limits.TIMEOUT,
    endings.SIGNAL,
    endings.EXIT,
    exception.GUARD,
)
ORACLES: tuple[Guard, ...] = (
    faults_hang.GUARD,
    faults_data.GUARD,
    faults_state.GUARD,
    faults_privilege.GUARD,
    faults_descriptors.GUARD,
    faults_leftover.GUARD,
    faults_message.GUARD,
)
GUARDS: tuple[Guard, ...] = CRASH_GUARDS + ORACLES


# The engine, the journal and the campaign ask about one run after each other. By identity: kept alive, they differ.
_judged: dict[int, tuple[Outcome, tuple[Detection, ...]]] = {}
MOST_JUDGED = 16  # as many as there are workers


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    """What is wrong with this run; empty when nothing is. A crash gives one detection."""
    known = _judged.get(id(outcome))
    if known is not None and known[0] is outcome:
        return known[1]
    if len(_judged) >= MOST_JUDGED:
        _judged.clear()
    found = _judge(outcome)
    _judged[id(outcome)] = outcome, found
    return found


def _judge(outcome: Outcome) -> tuple[Detection, ...]:
    for guard in CRASH_GUARDS:
        if said := guard.judge(outcome):
            placed = tuple(exposed(each, outcome) for each in said)
            return tuple(map(as_hint, placed)) if is_the_runtimes(outcome) else placed
    return tuple(exposed(each, outcome) for oracle in ORACLES for each in oracle.judge(outcome))


def as_hint(detection: Detection) -> Detection:
    """Listed, but nothing that the program could have done better."""
    return replace(detection, standing=Standing.HINT, message=f"inside the C library: {detection.message}")


def unarmed(proof: Proof) -> tuple[str, ...]:
    """Guards that could never fire in a binary of which this was proved: a search must say so."""
    return tuple(guard.name for guard in GUARDS if not guard.armed(proof))
