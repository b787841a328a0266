"""The clean run: what a program does when nothing fails. The measure of every run under faults."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from firedamp.errors import UsageError
from firedamp.guards.faults_effect import differs
from firedamp.outcome import Exited, Killed, Outcome, Scene, TimedOut
from firedamp.run import Bench
from firedamp.trace.protocol import Interceptor
from inject.observe.census import Census, Report
from inject.observe.ledger import MOST_WATCHED
from inject.observe.surrender import appended, given_up


@dataclass(slots=True, kw_only=True)
class Clean:
    """`unstable` grows when a later clean run shows something else."""

    outcome: Outcome
    report: Report
    unstable: set[str] = field(default_factory=set)
    steady_paths: frozenset[str] = frozenset()  # that the program touched in each clean run
    noted: tuple[str, ...] = ()
    allocating: "Clean | None" = None  # the same where each allocation is a call; None: not looked at yet


def observe(bench: Bench, census: Callable[[], Interceptor] | None = None) -> Clean:
    """Two clean runs: what differs between them is not judged. UsageError when the program does not end by itself.

    `census` makes what takes note of each run, in a Report; by default of every call that could fail.
    """
    runs = [_census(bench, census() if census is not None else None) for _ in range(2)]
    (first, report), (second, again) = runs
    if isinstance(first.ending, TimedOut):
        raise UsageError(
            f"{bench.target.name}: does not end within {bench.target.limits.wall_s:g} s without any fault; "
            "give it an input that ends it, or raise the limit (--timeout)"
        )
    steady = {hit.path for hit in report.hits} & {hit.path for hit in again.hits}
    folder = str(bench.room.path)
    clean = Clean(
        outcome=replace(
            first,
            refusals=report.refusals,
            given_up=given_up(report, first, folder),
            appended=appended(report, first, folder),
        ),
        report=report,
        unstable=set(differences(first, second)),
        steady_paths=frozenset(path for path in steady if path is not None),
    )
    clean.noted = (*_notes(clean), *(f"the clean run is not all seen: {each}" for each in bench.foreign))
    return clean


def _census(bench: Bench, census: Interceptor | None) -> tuple[Outcome, Report]:
    interceptor = census or Census(writable=(bench.room.path, bench.room.tmp))
    outcome, report = bench.run_command(interceptor=interceptor, snapshot=True)
    assert isinstance(report, Report)
    return with_scene(bench, outcome), report


def look_again(bench: Bench, clean: Clean) -> bool:
    """Another clean run; true when it shows something unstable that was not known yet."""
    outcome, _ = bench.run_command(snapshot=True)
    new = differences(clean.outcome, with_scene(bench, outcome)) - clean.unstable
    clean.unstable |= new
    return bool(new)


def with_scene(bench: Bench, outcome: Outcome) -> Outcome:
    """With the bytes of streams that went into files, and where it took place."""
    target = bench.target
    return replace(
        outcome,
        stdout=_content(bench, target.stdout) if target.stdout else outcome.stdout,
        stderr=_content(bench, target.stderr) if target.stderr else outcome.stderr,
        scene=Scene(folder=str(bench.room.path), argv=bench.command, stdout=target.stdout, stderr=target.stderr),
    )


def _content(bench: Bench, name: str) -> bytes:
    path = bench.room.path / name
    try:
        with path.open("rb") as file:
            return file.read(bench.target.limits.output_bytes)
    except OSError:
        return b""  # the program took its own output file away


def differences(one: Outcome, other: Outcome) -> frozenset[str]:
    """Names (paths, "stdout", "stderr") that differ between two clean runs."""
    names = {name for name in one.after.keys() | other.after.keys() if differs(one.after, name, other.after.get(name))}
    if one.stdout != other.stdout:
        names.add("stdout")
    if one.stderr != other.stderr:
        names.add("stderr")
    return frozenset(names)


def _notes(clean: Clean) -> list[str]:
    notes = []
    ending = clean.outcome.ending
    if not isinstance(ending, Exited):
        how = f"is killed by signal {ending.signal}" if isinstance(ending, Killed) else "is stopped by its limits"
        notes.append(f"the clean run {how}: no run under faults can be called a success beside it")
    elif ending.status != 0 and clean.outcome.stderr.strip():  # grep and diff say nothing
        said = clean.outcome.stderr.strip().splitlines()[-1].decode("utf-8", "replace")
        notes.append(
            f"the clean run exits with {ending.status} ({said}); --setup prepares the folder, if it should not"
        )
    if clean.unstable:
        notes.append(f"not judged, since clean runs differ there: {', '.join(sorted(clean.unstable))}")
    if clean.outcome.check_status not in (None, 0):
        notes.append(f"the check fails after the clean run (status {clean.outcome.check_status}): it decides nothing")
    for refusal in clean.report.refusals[:5]:
        notes.append(
            f"our own confinement refused {refusal.syscall} of {refusal.path}: it lies outside the private folder"
        )
    if len(clean.report.hits) > MOST_WATCHED:
        notes.append(
            f"{len(clean.report.hits)} calls, more than {MOST_WATCHED}: descriptors and leftovers are not judged"
        )
    if clean.report.dropped:
        notes.append(f"{clean.report.dropped} calls beyond the first {len(clean.report.hits)} were not looked at")
    return notes
