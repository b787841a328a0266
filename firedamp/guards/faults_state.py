"""Oracle of runs under faults: a file that existed before is neither as before nor as after a clean run.

Between the two states lies a loss that no caller can mend, whether the failure was reported or not.
"""

from firedamp.finding import Detection, Severity
from firedamp.guards.faults_effect import (
    Loss,
    check_failed,
    differs,
    evidence,
    fault_frame,
    fault_name,
    fault_place,
    is_unstable,
    said,
    same_ending,
)
from firedamp.guards.faults_touch import ESSENTIAL, touches
from firedamp.guards.guard import Armed, Guard
from firedamp.outcome import EntryKind, Exited, Killed, Outcome


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    clean = outcome.baseline
    if clean is None or not outcome.strikes or not isinstance(outcome.ending, Exited | Killed):
        return ()  # what our own limits cut short is no state that the program chose
    if same_ending(outcome) or not touches(outcome) & ESSENTIAL:
        return ()  # success is judged by its data
    between = states_between(outcome)
    if not between:
        return ()
    reported = isinstance(outcome.ending, Killed) or bool(said(outcome))
    strike = outcome.strikes[0]
    how = "the failure is reported" if reported else "nothing is said"
    return (
        Detection(
            guard=GUARD.name,
            kind="wrong-state",
            cwe=460,  # improper clean-up on thrown exception: the state in between
            severity=Severity.LOW if reported else Severity.MEDIUM,
            place=fault_place(strike),
            frame=fault_frame(strike),
            message=f"{fault_name(outcome)}: {', '.join(loss.text for loss in between[:3])}; {how}",
            evidence=evidence(outcome, *(loss.text for loss in between)),
            stack=strike.stack,
        ),
    )


def states_between(outcome: Outcome) -> tuple[Loss, ...]:
    """Files of before that are in neither state. Files of the streams were emptied by whoever opened them."""
    clean = outcome.baseline
    if clean is None or (outcome.check_status is not None and not check_failed(outcome)):
        return ()
    streams = {outcome.scene.stdout, outcome.scene.stderr}
    losses = []
    for name, before in sorted(outcome.before.items()):
        if before.kind is EntryKind.FOLDER or name in streams or is_unstable(name, outcome):
            continue
        now = outcome.after.get(name)
        if not differs(outcome.before, name, now) or not differs(clean.after, name, now):
            continue
        size = "is missing" if now is None else f"has {now.size} bytes"
        after = clean.after.get(name)
        wanted = "none" if after is None else f"{after.size}"
        text = f"{name} {size}: {before.size} before, {wanted} after a clean run"
        losses.append(Loss(name=name, missing=now is None, text=text))
    return tuple(losses)


GUARD = Guard(name="faults-state", needs=frozenset({Armed.FAULTS}), judge=judge)
