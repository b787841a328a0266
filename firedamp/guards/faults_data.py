"""Oracle of runs under faults: success is reported though data is missing or wrong.

silent-success: the clean run's status and nothing new on stderr; swallowed-error: the same, but something was said.
A failed close or fsync whose data is whole is a hint; a fall-back that is meant is benign.
"""

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import (
    Loss,
    changed_by_clean_run,
    check_failed,
    decisive,
    evidence,
    fault_frame,
    fault_name,
    fault_place,
    lost_files,
    lost_output,
    said,
    same_ending,
    shown_path,
)
from firedamp.guards.faults_touch import COMMITS, ESSENTIAL, STREAM, Touched, touched, touches
from firedamp.guards.guard import Armed, Guard
from firedamp.outcome import Exited, Outcome, Strike

LOSSES_SHOWN = 3


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    if not outcome.strikes or not same_ending(outcome):
        return ()
    losses = lost_files(outcome) + lost_output(outcome)
    if not losses and not check_failed(outcome):
        return _hint(outcome)
    standing = Standing.FINDING if _matters(outcome) else Standing.BENIGN
    return (_detection(outcome, losses, standing),)


def _matters(outcome: Outcome) -> bool:
    """A fault on data, memory or processes always does; that a file is not there was an answer.

    What a look-up or the machine refused may change how things are shown, on stdout and (look-ups: names in an
    archive) in files, but must not make them vanish.
    """
    touched = touches(outcome)
    files = lost_files(outcome)
    if check_failed(outcome):
        return True
    if not files and _only_talks(outcome):
        return False
    if touched & ESSENTIAL:
        return True
    if Touched.SYSTEM in touched:
        return bool(files)
    return Touched.LOOKUP in touched and any(loss.missing for loss in files)


def _only_talks(outcome: Outcome) -> bool:
    """What it makes is files, and a clean run is silent: on stdout it tells of the failure, as others do on stderr."""
    clean = outcome.baseline
    return clean is not None and not clean.stdout and bool(changed_by_clean_run(outcome) - {outcome.scene.stdout})


def _culprit(outcome: Outcome) -> Strike:
    """Of a shortage that lasts, the first strike on what matters: before it the program did without settings, say."""
    strike = decisive(outcome.strikes)
    if strike is not outcome.strikes[0]:
        return strike
    essential = (each for each in outcome.strikes if touched(each, outcome.scene) in ESSENTIAL)
    return next(essential, strike)


def _detection(outcome: Outcome, losses: tuple[Loss, ...], standing: Standing) -> Detection:
    message = said(outcome)
    what = [loss.text for loss in losses[:LOSSES_SHOWN]] or ["the check fails"]
    if len(losses) > LOSSES_SHOWN:
        what.append(f"{len(losses) - LOSSES_SHOWN} more")
    assert isinstance(outcome.ending, Exited)
    strike = _culprit(outcome)
    quiet = f"only a word on stderr ({message})" if message else "nothing on stderr"
    return Detection(
        guard=GUARD.name,
        kind="swallowed-error" if message else "silent-success",
        cwe=391 if message else 252,  # unchecked error condition; unchecked return value
        severity=Severity.MEDIUM if message else Severity.HIGH,
        place=fault_place(strike),
        frame=fault_frame(strike),
        standing=standing,
        message=f"{fault_name(outcome)}: exit {outcome.ending.status} and {quiet}, but {', '.join(what)}",
        evidence=evidence(outcome, *(loss.text for loss in losses)),
        stack=strike.stack,
    )


def _hint(outcome: Outcome) -> tuple[Detection, ...]:
    """close(2) and fsync(2) tell of earlier writes that failed: of what the program wrote, that must not be ignored."""
    strike = decisive(outcome.strikes)
    if strike.syscall not in COMMITS or said(outcome) or strike.path is None or not _written(outcome, strike.path):
        return ()
    name = shown_path(strike.path, outcome.scene)
    return (
        Detection(
            guard=GUARD.name,
            kind="silent-success",
            cwe=252,
            severity=Severity.INFO,
            place=fault_place(strike),
            frame=fault_frame(strike),
            standing=Standing.HINT,
            message=f"{fault_name(outcome)} is ignored; the data of {name} was whole this time",
            evidence=evidence(outcome),
            stack=strike.stack,
        ),
    )


def _written(outcome: Outcome, path: str) -> bool:
    scene = outcome.scene
    if STREAM.fullmatch(path) or path == f"{scene.folder}/{scene.stdout}":
        return True
    name = path.removeprefix(f"{scene.folder}/")
    gone = name != path and name not in outcome.before and outcome.baseline and name not in outcome.baseline.after
    return name in changed_by_clean_run(outcome) or bool(gone)  # made under a name that it has no more: renamed


GUARD = Guard(name="faults-data", needs=frozenset({Armed.FAULTS}), judge=judge)
