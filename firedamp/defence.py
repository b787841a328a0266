"""Which defence stops a finding, and what happens without: its reproducer on the hardened, the sanitized and the plain
build. Runs nothing but the engine's own replay; what a run means is read off what the guards say of it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from firedamp import guards
from firedamp.engine import Engine
from firedamp.errors import FiredampError
from firedamp.finding import Detection, Effect, Standing
from firedamp.outcome import Exited, Killed, Outcome, OutOfMemory, TimedOut
from firedamp.report.ending import words_of
from firedamp.reproducer import Reproducer
from firedamp.reproducer_file import write_atomically
from firedamp.target import Build, Profile

CACHE = "defences.json"  # beside the reproducer
FORMAT = 1
BY_GUARD = {
    "stack_smash": "stack canary",
    "fortify": "FORTIFY",
    "format_arguments": "FormatGuard",
    "heap": "malloc's own checks",
    "glibc_fatal": "libc's own checks",
    "assertion": "the program's own assertion",
    "abort": "the program's own abort",
}


class Verdict(StrEnum):
    STOPPED = "stopped"  # a defence ended the program before worse happened
    HIJACKED = "hijacked"  # control went where the program has no code
    CRASHED = "crashed"  # the processor refused an access
    HUNG = "hung"  # it ran out of time or memory
    EXITED = "exited"  # the library ended the process by itself
    SILENT = "silent"  # it goes on to its end, although another build shows that memory is overwritten or misused
    CLEAN = "clean"  # it goes on to its end, and no build shows damage to memory
    UNBUILT = "unbuilt"  # there is no such build


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One build's answer. `runs` is n of m replays that gave it; the others gave another one."""

    profile: str
    verdict: Verdict
    by: str | None = None  # the defence that stopped it
    kind: str | None = None  # of the detection there
    ending: str = ""
    says: str = ""
    damage: bool = False  # memory was overwritten or misused, by that detection
    runs: tuple[int, int] = (0, 0)
    key: str = ""  # of the build and the payload: the same key gives the same cell


DEFENCES = (Profile.HARDENED, Profile.ASAN, Profile.PLAIN)
BuildOf = Callable[[Profile], Build | None]


def matrix(
    engine: Engine, reproducer: Reproducer, build_of: BuildOf, *, times: int, cache: Path | None = None
) -> tuple[Cell, ...]:
    """One cell for each profile. What `cache` knows of the same builds and payload is not run again."""
    known = {cell.key: cell for cell in (read(cache) if cache is not None else ()) if cell.key}
    cells = tuple(_cell(engine, reproducer, build_of, profile, known, times) for profile in DEFENCES)
    judged = tuple(_settled(cell, cells) for cell in cells)
    if cache is not None:
        document = {"format": FORMAT, "cells": [asdict(cell) for cell in judged]}
        write_atomically(cache, json.dumps(document, indent=1).encode())
    return judged


def read(path: Path) -> tuple[Cell, ...]:
    """What an earlier matrix found; nothing where there is none, or one of another format."""
    try:
        document = json.loads(path.read_text())
        return tuple(_read_cell(each) for each in document["cells"]) if document["format"] == FORMAT else ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def lines(cells: tuple[Cell, ...]) -> Iterator[str]:
    """For a person: one line for each build."""
    for cell in cells:
        n, m = cell.runs
        often = f" ({n} of {m})" if n < m else ""
        what = f"{cell.verdict} by {cell.by}" if cell.by else cell.verdict.value
        facts = "; ".join(each for each in (cell.ending, cell.says) if each)
        yield f"{cell.profile:<9} {what}{often}" + (f": {facts}" if facts else "")


def _read_cell(values: dict[str, Any]) -> Cell:
    runs = values["runs"]
    return Cell(**{**values, "verdict": Verdict(values["verdict"]), "runs": (int(runs[0]), int(runs[1]))})


def _cell(
    engine: Engine, reproducer: Reproducer, build_of: BuildOf, profile: Profile, known: dict[str, Cell], times: int
) -> Cell:
    try:
        build = build_of(profile)
    except FiredampError as error:
        return Cell(profile=profile.value, verdict=Verdict.UNBUILT, says=str(error).splitlines()[0])
    if build is None:
        why = "nothing is compiled here: the program is as it was installed"
        return Cell(profile=profile.value, verdict=Verdict.UNBUILT, says=why)
    key = hashlib.sha256(f"{build.digest} {times}\n".encode() + reproducer.payload).hexdigest()[:16]
    if key in known:
        return known[key]
    seen = Counter(_seen(engine.replay(reproducer, build), profile) for _ in range(times))
    ((cell, count),) = seen.most_common(1)
    return replace(cell, runs=(count, times), key=key)


def _seen(outcome: Outcome, profile: Profile) -> Cell:
    ending = words_of(outcome.ending)
    said = [each for each in guards.judge(outcome) if each.standing is Standing.FINDING]
    if not said:
        return Cell(profile=profile.value, verdict=Verdict.CLEAN, ending=ending)
    detection = said[0]
    by = defence(detection)
    verdict = Verdict.STOPPED if by is not None else _undefended(outcome, detection)
    return Cell(
        profile=profile.value,
        verdict=verdict,
        by=by,
        kind=detection.kind,
        ending=ending,
        says=f"{detection.message}; {detection.because}" if verdict is Verdict.HIJACKED else detection.message,
        damage=detection.effect is Effect.TAKEOVER,
    )


def defence(detection: Detection) -> str | None:
    """What ended the program, where that was put there to end it."""
    if detection.guard == "sanitizer":
        return "UBSan" if detection.kind.startswith("ubsan-") else "AddressSanitizer"
    return BY_GUARD.get(detection.guard)


def _undefended(outcome: Outcome, detection: Detection) -> Verdict:
    if detection.kind == "segv-exec":
        return Verdict.HIJACKED
    match outcome.ending:
        case TimedOut() | OutOfMemory():
            return Verdict.HUNG
        case Exited():
            return Verdict.EXITED
        case Killed():
            return Verdict.CRASHED
        case _:
            assert_never(outcome.ending)


def _settled(cell: Cell, cells: tuple[Cell, ...]) -> Cell:
    """A run without a complaint is silent damage where another build shows a write or a use that must not be."""
    if cell.verdict not in (Verdict.CLEAN, Verdict.SILENT):
        return cell
    damage = next((other for other in cells if other.damage), None)
    if damage is None:
        return replace(cell, verdict=Verdict.CLEAN, says="")
    return replace(cell, verdict=Verdict.SILENT, says=f"nothing notices what the {damage.profile} build shows")
