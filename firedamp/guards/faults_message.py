"""Oracle of runs under faults: what the program says of the failure is wrong, or it fails without a word. Hints only.

wrong-message: it names an error that no call of the run returned, "Success" above all: errno was overwritten before it
was printed. A library may set errno without any call, so this is a hint. mute-failure: another exit status than the
clean run's, and nothing on either stream; some programs are meant to be so (cmp -s).
"""

import os
from errno import errorcode

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import decisive, evidence, fault_frame, fault_name, fault_place, new_lines
from firedamp.guards.faults_touch import ESSENTIAL, STREAM, touches
from firedamp.guards.guard import Armed, Guard
from firedamp.outcome import Exited, Outcome

TEXTS = {os.strerror(number): number for number in (0, *errorcode)}


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    clean = outcome.baseline
    if clean is None or not outcome.strikes or not isinstance(outcome.ending, Exited):
        return ()
    number = misnamed(outcome)
    known = outcome.aftermath.errnos if outcome.aftermath is not None else None
    if number == 0 or (number is not None and known is not None and number not in known):
        text = f'it says "{os.strerror(number)}", which no call of the run returned'
        return (_hint(outcome, "wrong-message", 755, text),)  # improper handling of exceptional conditions
    if _is_mute(outcome, clean):
        text = f"exit {outcome.ending.status} without a word on stdout or stderr"
        return (_hint(outcome, "mute-failure", 778, text),)  # insufficient logging
    return ()


def misnamed(outcome: Outcome) -> int | None:
    """An error that a new line on stderr ends with, where no new line names what really happened.

    A short count sets no errno, so no message could name it.
    """
    lines = new_lines(outcome)
    struck = {os.strerror(strike.errno) for strike in outcome.strikes if strike.errno is not None}
    if not struck or any(text in line for line in lines for text in struck):
        return None
    ends = (line.rpartition(": ")[2].rstrip(".") for line in lines if ": " in line)
    return next((TEXTS[end] for end in ends if end in TEXTS), None)


def _is_mute(outcome: Outcome, clean: Outcome) -> bool:
    if not isinstance(clean.ending, Exited) or outcome.ending == clean.ending or new_lines(outcome):
        return False
    if any(STREAM.fullmatch(strike.path or "") for strike in outcome.strikes):
        return False  # perhaps stderr itself
    return clean.stdout.startswith(outcome.stdout) and bool(touches(outcome) & ESSENTIAL)


def _hint(outcome: Outcome, kind: str, cwe: int, text: str) -> Detection:
    strike = decisive(outcome.strikes)
    name = fault_name(outcome)
    return Detection(
        guard=GUARD.name,
        kind=kind,
        cwe=cwe,
        severity=Severity.INFO,
        place=fault_place(strike),
        frame=fault_frame(strike),
        standing=Standing.HINT,
        message=f"{name}: {text}",
        evidence=evidence(outcome),
        stack=strike.stack,
    )


GUARD = Guard(name="faults-message", needs=frozenset({Armed.FAULTS}), judge=judge)
