"""Oracle of runs under faults: a file that the program made for itself, and takes away in a clean run, stays behind.

Only what the struck process had made before the fault counts, and only when it came to its own end: who was killed
could not clean up. Where the fault also struck what came after the failure, or the removal itself, it is a hint: a
journal that could not be played back is kept on purpose. So is what the program names when it tells of the failure.
"""

from collections.abc import Iterator
from pathlib import PurePath

from firedamp.finding import Detection, Severity, Standing
from firedamp.guards.faults_effect import (
    evidence,
    fault_name,
    fault_place,
    is_unstable,
    new_lines,
    said,
    same_ending,
    shown_path,
)
from firedamp.guards.faults_touch import family
from firedamp.guards.guard import Armed, Guard
from firedamp.guards.place import innermost_own, place, where
from firedamp.outcome import Created, Exited, Outcome

REMOVES = frozenset({"unlink", "stat", "access"})  # families: a clean-up looks before it removes


def judge(outcome: Outcome) -> tuple[Detection, ...]:
    if outcome.aftermath is None or not outcome.strikes or not isinstance(outcome.ending, Exited):
        return ()
    places: dict[tuple[str, ...], Detection] = {}
    for created in leftovers(outcome):
        detection = _detection(outcome, created)
        if detection is not None:
            places.setdefault(detection.place, detection)
    return tuple(places.values())


def _detection(outcome: Outcome, created: Created) -> Detection | None:
    """Named after who made the file: several faults on the way to its removal show one and the same omission."""
    reported = not same_ending(outcome) or bool(said(outcome))
    unremovable = any(family(each.syscall) in REMOVES and each.path == created.path for each in outcome.strikes)
    if unremovable and reported:
        return None
    told = PurePath(created.path).name in "\n".join(new_lines(outcome))
    spoilt = unremovable or told or len({strike.site for strike in outcome.strikes}) > 1
    severity = Severity.LOW if reported else Severity.MEDIUM
    frame = innermost_own(created.stack)
    how = "the failure is reported" if reported else "nothing is said"
    name = shown_path(created.path, outcome.scene)
    return Detection(
        guard=GUARD.name,
        kind="leftover-file",
        cwe=459,  # incomplete cleanup
        severity=Severity.INFO if spoilt else severity,
        place=place(created.stack) or fault_place(outcome.strikes[0]),
        frame=frame,
        standing=Standing.HINT if spoilt else Standing.FINDING,
        message=f"{fault_name(outcome)}: {name}, made in {where(frame)}, stays behind; the clean run removes it; {how}",
        evidence=evidence(outcome),
        stack=outcome.strikes[0].stack,
    )


def leftovers(outcome: Outcome) -> Iterator[Created]:
    """Where a clean run leaves something in TMPDIR, too, nothing there is judged."""
    clean, after = outcome.baseline, outcome.aftermath
    if clean is None or after is None:
        return
    folder = PurePath(outcome.scene.folder)
    streams = {outcome.scene.stdout, outcome.scene.stderr}
    for created in after.created:
        name = _below(created.path, folder)
        if name is not None:
            known = name in clean.after or name in outcome.before or name in streams or is_unstable(name, outcome)
            if name in outcome.after and not known:
                yield created
        elif not clean.temporary and _below(created.path, folder.parent / "tmp") in outcome.temporary:
            yield created


def _below(path: str, folder: PurePath) -> str | None:
    prefix = f"{folder}/"
    return path.removeprefix(prefix) if path.startswith(prefix) else None


GUARD = Guard(name="faults-leftover", needs=frozenset({Armed.FAULTS}), judge=judge)
