"""Oracle of runs under faults: a file that existed before is neither as before nor as after a clean run.

Between the two states lies a loss that no caller can mend, whether the failure was reported or not: unless a journal
or a copy is kept beside it, which makes it a hint.
"""

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import (
    Loss,
    check_failed,
    decisive,
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
from firedamp.guards.place import innermost_own, place, where
from firedamp.outcome import EntryKind, Exited, Frame, Killed, Outcome


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    clean = outcome.baseline
    if clean is None or not outcome.strikes or not isinstance(outcome.ending, Exited | Killed):
        return ()  # what our own limits cut short is no state that the program chose
    if same_ending(outcome) or not touches(outcome) & ESSENTIAL:
        return ()  # success is judged by its data
    between = states_between(outcome)
    if not between:
        return ()
    return (_detection(outcome, between),)


def _detection(outcome: Outcome, between: tuple[Loss, ...]) -> Detection:
    """Of failures that are reported the one cause is who gave the old content up; of others it is the silence, too."""
    reported = isinstance(outcome.ending, Killed) or bool(said(outcome))
    strike = decisive(outcome.strikes)
    culprit = _culprit(outcome, between) if reported else ()
    frame = innermost_own(culprit) or fault_frame(strike)
    facts = [", ".join(loss.text for loss in between[:3])]
    if culprit:
        facts.append(f"the old content is given up in {where(frame)}")
    kept = _kept_beside(outcome, between) if reported else None
    if kept is not None:
        facts.append(f"{kept} is kept beside it")
    facts.append("the failure is reported" if reported else "nothing is said")
    severity = Severity.LOW if reported else Severity.MEDIUM
    return Detection(
        guard=GUARD.name,
        kind="wrong-state",
        cwe=460,  # improper clean-up on thrown exception: the state in between
        severity=severity if kept is None else Severity.INFO,
        place=place(culprit) or fault_place(strike),
        frame=frame,
        standing=Standing.FINDING if kept is None else Standing.HINT,
        message=f"{fault_name(outcome)}: {'; '.join(facts)}",
        evidence=evidence(outcome, *(loss.text for loss in between)),
        stack=strike.stack,
    )


def _culprit(outcome: Outcome, between: tuple[Loss, ...]) -> tuple[Frame, ...]:
    given_up = outcome.baseline.given_up if outcome.baseline is not None else {}
    return next((given_up[loss.name] for loss in between if place(given_up.get(loss.name, ()))), ())


def _kept_beside(outcome: Outcome, between: tuple[Loss, ...]) -> str | None:
    """From it the state can be put right: the old content under a new name, or a journal that only the failed run
    leaves, and that no fault struck."""
    clean = outcome.baseline
    after_clean = clean.after if clean is not None else {}
    struck = {strike.path for strike in outcome.strikes}
    made = {
        name: entry.digest
        for name, entry in sorted(outcome.after.items())
        if name not in outcome.before and entry.kind is EntryKind.FILE and entry.size
    }
    if {outcome.before[loss.name].digest for loss in between} <= set(made.values()):
        return next(name for name, digest in made.items() if digest == outcome.before[between[0].name].digest)
    journals = (name for name in made if name not in after_clean and not is_unstable(name, outcome))
    return next((name for name in journals if f"{outcome.scene.folder}/{name}" not in struck), None)


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
        if name in clean.appended and now is not None and now.size >= before.size:
            continue
        if not differs(outcome.before, name, now) or not differs(clean.after, name, now):
            continue
        size = "is missing" if now is None else f"has {now.size} bytes"
        after = clean.after.get(name)
        wanted = "none" if after is None else f"{after.size}"
        text = f"{name} {size}: {before.size} before, {wanted} after a clean run"
        losses.append(Loss(name=name, missing=now is None, text=text))
    return tuple(losses)


GUARD = Guard(name="faults-state", needs=frozenset({Armed.FAULTS}), judge=judge)
