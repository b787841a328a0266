"""The other signals that the processor raises: arithmetic, illegal instructions, pages that are gone."""

from signal import Signals

from firedamp.finding import Detection, Severity
from firedamp.guards.fatal import decisive_fatal, detect, raised_by_hardware
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import innermost_own, where
from firedamp.guards.stack_smash import is_stack_smash
from firedamp.outcome import Outcome

FACTS = {
    Signals.SIGFPE: ("fpe", 369, Severity.MEDIUM, "divided by zero, or out of the quotient's range"),
    Signals.SIGILL: ("ill", 758, Severity.HIGH, "ran an illegal instruction"),
    Signals.SIGBUS: ("bus", 119, Severity.MEDIUM, "used memory behind which there is no file or no alignment"),
}


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    fatal = decisive_fatal(outcome)
    if fatal is None or fatal.signal not in FACTS or not raised_by_hardware(fatal) or is_stack_smash(fatal):
        return ()
    kind, cwe, severity, says = FACTS[fatal.signal]
    return detect(
        fatal,
        guard=GUARD.name,
        kind=kind,
        cwe=cwe,
        severity=severity,
        message=f"{where(innermost_own(fatal.stack))} {says}",
    )


GUARD = Guard(name="trap", needs=frozenset({Armed.SIGNALS}), judge=judge)
