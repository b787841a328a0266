"""What a run under faults left behind, beside the clean run: what is lost, what was said, how it ended. Pure."""

import errno
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath

from firedamp.guards.faults_touch import family
from firedamp.guards.place import innermost_own, label, place
from firedamp.outcome import Entry, EntryKind, Exited, Frame, Outcome, Scene, Strike, Tree

NUMBER = re.compile(rb"0x[0-9a-f]+|\d+")
STDOUT, STDERR = "stdout", "stderr"
EFFECTS = {"partial": "short"}  # as the sweep names them


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One thing that is not as a clean run leaves it."""

    name: str  # a path relative to the working folder, or "stdout"
    missing: bool  # not there at all, or empty though the clean run's is not
    text: str  # for a person: "out.txt has 4795 of 8893 bytes"


def same_ending(outcome: Outcome) -> bool:
    """Did the program report nothing by its status? A run that ended by a signal or a limit did."""
    clean = outcome.baseline
    return clean is not None and isinstance(clean.ending, Exited) and outcome.ending == clean.ending


def said(outcome: Outcome) -> str:
    """The first line on stderr that the clean run does not have; "" when nothing new was said."""
    return next(iter(new_lines(outcome)), "")


def new_lines(outcome: Outcome) -> tuple[str, ...]:
    """Lines on stderr that the clean run does not have.

    Where two clean runs differ there (times, process numbers), numbers do not count.
    """
    clean = outcome.baseline.stderr if outcome.baseline is not None else b""
    mask = STDERR in outcome.unstable
    known = Counter(_masked(line, mask) for line in clean.splitlines())
    found = []
    for line in outcome.stderr.splitlines():
        key = _masked(line, mask)
        if known[key] == 0 and line.strip():
            found.append(line.decode("utf-8", "replace").strip())
        known[key] -= 1
    return tuple(found)


def _masked(line: bytes, mask: bool) -> bytes:
    return NUMBER.sub(b"#", line) if mask else line


def lost_files(outcome: Outcome) -> tuple[Loss, ...]:
    """Files that a clean run leaves and that are missing or different. A check of the user's own decides instead."""
    clean = outcome.baseline
    if clean is None or (outcome.check_status == 0 and clean.check_status == 0):
        return ()
    streams = {outcome.scene.stdout, outcome.scene.stderr}
    losses = (
        _loss(name, expected, outcome.after.get(name))
        for name, expected in sorted(clean.after.items())
        if name not in streams and not is_unstable(name, outcome)
    )
    return tuple(loss for loss in losses if loss is not None)


def lost_output(outcome: Outcome) -> tuple[Loss, ...]:
    clean = outcome.baseline
    if clean is None or STDOUT in outcome.unstable or outcome.stdout == clean.stdout:
        return ()
    return (_stream_loss(outcome.scene.stdout or STDOUT, clean.stdout, outcome.stdout),)


def check_failed(outcome: Outcome) -> bool:
    clean = outcome.baseline
    return clean is not None and clean.check_status == 0 and outcome.check_status not in (0, None)


def is_unstable(name: str, outcome: Outcome) -> bool:
    """Itself, or a folder above it."""
    parts = name.split("/")
    return any("/".join(parts[:length]) in outcome.unstable for length in range(1, len(parts) + 1))


def _loss(name: str, expected: Entry, found: Entry | None) -> Loss | None:
    if found is None:
        return Loss(name=name, missing=True, text=f"{name} is missing")
    if found.kind is not expected.kind:
        return Loss(name=name, missing=True, text=f"{name} is a {found.kind.value}, not a {expected.kind.value}")
    if found.digest == expected.digest:
        return None
    if expected.kind is not EntryKind.FILE:
        return Loss(name=name, missing=False, text=f"{name} leads elsewhere")
    return Loss(name=name, missing=found.size == 0, text=_sizes(name, found.size, expected.size))


def _stream_loss(name: str, expected: bytes, found: bytes) -> Loss:
    text = _sizes(name, len(found), len(expected))
    return Loss(name=name, missing=len(found) < len(expected) and expected.startswith(found), text=text)


def _sizes(name: str, found: int, expected: int) -> str:
    if found == expected:
        return f"{name} has other content than after a clean run"
    if found == 0:
        return f"{name} is empty instead of {expected} bytes"
    return (
        f"{name} has {found} of {expected} bytes" if found < expected else f"{name} has {found} bytes, not {expected}"
    )


def changed_by_clean_run(outcome: Outcome) -> frozenset[str]:
    """Names that a clean run creates or changes: what a program writes."""
    clean = outcome.baseline
    if clean is None:
        return frozenset()
    return frozenset(name for name, entry in clean.after.items() if differs(clean.before, name, entry))


def differs(tree: Tree, name: str, entry: Entry | None) -> bool:
    """In kind or content; rights do not count."""
    other = tree.get(name)
    if other is None or entry is None:
        return other is not entry
    return (other.kind, other.digest) != (entry.kind, entry.digest)


def fault_place(strike: Strike) -> tuple[str, ...]:
    """The program's own frames: of one call into a library it sees one result, whichever system call in it failed.

    Without such frames the family has to tell places apart.
    """
    frames = place(strike.stack)
    if frames:
        return frames
    outermost = tuple(label(frame) for frame in strike.stack[-1:])
    return (family(strike.syscall), *(outermost or (strike.site,)))


def decisive(strikes: tuple[Strike, ...]) -> Strike:
    """The one that a finding is about. Of several faults that strike once each the program handled all but the last;
    what one lack of memory or one full disk does is a single fault, and begins with its first strike."""
    first, last = strikes[0], strikes[-1]
    rules = {strike.rule for strike in strikes}
    if len(rules) < len(strikes) or first.effect == "partial":
        return first
    return first if family(first.syscall) == family(last.syscall) == "memory" else last


def fault_frame(strike: Strike) -> Frame | None:
    return innermost_own(strike.stack)


def errno_name(number: int | None) -> str:
    return "" if number is None else errno.errorcode.get(number, str(number))


def fault_name(outcome: Outcome) -> str:
    """`rename EIO, then write ENOSPC (3 times)`: each fault of the run, in the order in which they first came."""
    counts = Counter(
        f"{strike.syscall} {errno_name(strike.errno) or EFFECTS.get(strike.effect, strike.effect)}"
        for strike in outcome.strikes
    )
    return ", then ".join(f"{name} ({count} times)" if count > 1 else name for name, count in counts.items())


CAPTURED = "/memfd:captured (deleted)"  # a stream that has no file of its own: trace/streams.py


def shown_path(path: str, scene: Scene) -> str:
    """For a person: the private folder is gone by then, and is elsewhere in each run."""
    if path == CAPTURED:
        return "its output"
    for folder, prefix in ((scene.folder, ""), (f"{PurePath(scene.folder).parent}/tmp", "$TMPDIR/")):
        if scene.folder and path.startswith(f"{folder}/"):
            return prefix + path[len(folder) + 1 :]
    return "." if path == scene.folder else path


def evidence(outcome: Outcome, *facts: str) -> tuple[str, ...]:
    strike = decisive(outcome.strikes)
    on = f" on {shown_path(strike.path, outcome.scene)}" if strike.path else ""
    struck = f"{fault_name(outcome)} at hit {strike.nth} of site {strike.site}{on}"
    return (*facts, struck)
