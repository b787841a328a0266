"""Targets that are no C harness: programs, installed commands, Python functions."""

from pathlib import Path

import pytest

import fuzz
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.guards import judge
from firedamp.outcome import Exited, Killed, TimedOut
from firedamp.target import Build, InputMode, Limits, Profile, Target, TargetKind

pytestmark = [pytest.mark.needs("clang"), pytest.mark.needs("ptrace")]

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  char text[64] = "";
  FILE *input = argc > 2 ? fopen(argv[2], "r") : stdin;
  if (argc > 3) strncpy(text, argv[3], sizeof text - 1);
  else if (!input || fread(text, 1, sizeof text - 1, input) == 0) return 2;
  puts("read");
  if (text[0] == 'B') { puts("first"); if (FATAL) abort(); }
  unsigned sum = 7;
  for (size_t i = 0; i < sizeof text; i++) sum = sum * 31 + (unsigned char)text[i];
  if (sum * 2654435761u == HANGS && FATAL) for (;;);
  return text[0] == 'x';
}
"""
HANGS = b"Hangs"  # and no mutant of it: each hang takes the whole limit
LIMITS = Limits(wall_s=3)  # far more than a fresh process needs on a machine that is busy


def hashed(data: bytes) -> int:
    total = 7
    for byte in data.ljust(64, b"\0"):
        total = (total * 31 + byte) % 2**32
    return total * 2654435761 % 2**32


def program(folder: Path, mode: InputMode, *, fatal: bool) -> Build:
    folder.mkdir(exist_ok=True)
    (folder / "program.c").write_text(PROGRAM)
    args = {InputMode.FILE: ("-f", "@@"), InputMode.STDIN: (), InputMode.ARGV: ("-s", "/dev/null", "@@")}[mode]
    target = Target(
        name="p",
        kind=TargetKind.PROGRAM,
        root=folder,
        sources=("program.c",),
        cflags=(f"-DFATAL={int(fatal)}", f"-DHANGS={hashed(HANGS)}u"),
        args=args,
        input=mode,
        max_len=8,
        seeds="seeds",
        limits=LIMITS,
    )
    (folder / "seeds").mkdir(exist_ok=True)
    (folder / "seeds" / "one").write_bytes(b"Ca")
    return build(target, Profile.HARDENED, compiler="clang", cache=folder / "cache", allow_unguarded=True)


def search(target: Target, made: Build | None, folder: Path, **bounds: int) -> tuple[list[Attempt], Progress]:
    progress = Progress()
    job = Job(target=target, build=made, results=folder / "results", seed=1, time_s=100, **bounds)  # type: ignore[arg-type]
    attempts: list[Attempt] = []
    for attempt in fuzz.ENGINE.search(job, progress):
        attempts.append(attempt)
        if "runs" not in bounds:
            break
    return attempts, progress


@pytest.mark.parametrize("mode", [InputMode.FILE, InputMode.STDIN, InputMode.ARGV])
def test_a_program_is_fuzzed_with_coverage_through_each_door(tmp_path: Path, mode: InputMode) -> None:
    made = program(tmp_path / "bad", mode, fatal=True)
    [attempt], progress = search(made.target, made, tmp_path)
    assert attempt.reproducer.payload[:1] == b"B"
    assert attempt.outcome.ending == Killed(signal=6)
    assert progress.edges > 2


def test_the_fixed_twin_of_a_program_has_no_attempts(tmp_path: Path) -> None:
    made = program(tmp_path / "good", InputMode.STDIN, fatal=False)
    attempts, progress = search(made.target, made, tmp_path, runs=1000)
    assert attempts == []
    assert progress.executions >= 1000


def test_a_death_does_not_end_the_life_and_is_not_repeated(tmp_path: Path) -> None:
    made = program(tmp_path / "bad", InputMode.STDIN, fatal=True)
    (tmp_path / "bad" / "seeds" / "two").write_bytes(b"Bang")
    (tmp_path / "bad" / "seeds" / "three").write_bytes(HANGS)
    attempts, _ = search(made.target, made, tmp_path, runs=1500)
    aborts = [attempt for attempt in attempts if attempt.outcome.ending == Killed(signal=6)]
    assert 1 <= len(aborts) <= 3
    [hang] = [attempt for attempt in attempts if attempt not in aborts]
    assert hang.reproducer.payload == HANGS and isinstance(hang.outcome.ending, TimedOut)
    journal = (tmp_path / "results" / "p" / "journal.jsonl").read_text()
    assert journal.count('"event": "life"') == 1


def test_an_installed_command_is_fuzzed_blindly_and_says_so(tmp_path: Path) -> None:
    made = program(tmp_path / "bad", InputMode.STDIN, fatal=True)
    target = Target(
        name="c",
        kind=TargetKind.COMMAND,
        root=tmp_path / "bad",
        command=(str(made.executable),),
        input=InputMode.STDIN,
        max_len=8,
        seeds="seeds",
        limits=LIMITS,
    )
    (tmp_path / "bad" / "seeds" / "two").write_bytes(b"Bang")
    [attempt], progress = search(target, None, tmp_path)
    assert attempt.outcome.ending == Killed(signal=6)
    assert any("no coverage" in note for note in progress.notes)


HARNESSES = """
def by_bytes(data: bytes) -> None:
    if FATAL and data[:1] == b"P":
        raise ValueError("found")

def by_provider(data: "atheris.FuzzedDataProvider") -> None:
    if FATAL and data.ConsumeIntInRange(0, 100) == 77:
        raise ValueError("found")
"""


@pytest.mark.parametrize("function", ["by_bytes", "by_provider"])
def test_a_python_harness_is_fuzzed_and_replayed(tmp_path: Path, function: str) -> None:
    (tmp_path / "bad_harness.py").write_text("FATAL = True\n" + HARNESSES)
    target = Target(name="y", kind=TargetKind.PYTHON, root=tmp_path, harness=f"bad_harness:{function}", max_len=16)
    [attempt], _ = search(target, None, tmp_path)
    assert attempt.outcome.ending == Exited(status=1)
    assert b"ValueError: found" in attempt.outcome.stderr
    [detection] = judge(attempt.outcome)
    assert (detection.kind, detection.place) == ("exit", ("ValueError", function))
    assert detection.frame is not None and detection.frame.file == str(tmp_path / "bad_harness.py")


def test_the_fixed_twin_of_a_python_harness_has_no_attempts(tmp_path: Path) -> None:
    (tmp_path / "good_harness.py").write_text("FATAL = False\n" + HARNESSES)
    target = Target(name="y", kind=TargetKind.PYTHON, root=tmp_path, harness="good_harness:by_bytes", max_len=16)
    attempts, progress = search(target, None, tmp_path, runs=20_000)
    assert attempts == []
    assert progress.executions >= 20_000
