"""Recovery coverage: a program compiled with --coverage tells which error handling the faults reached."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp.engine import Job, Progress
from firedamp.target import InputMode, Target, TargetKind
from inject import ENGINE

pytestmark = [
    pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp"), pytest.mark.needs("gcc"), pytest.mark.needs("gcov"),
]  # fmt: skip
SOURCE = Path(__file__).parents[1] / "targets" / "errors" / "recovery_lines.c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SOURCE, tmp_path / "tool.c")
    return tmp_path


def number(words: str) -> int:
    return next(at for at, line in enumerate(SOURCE.read_text().splitlines(), 1) if words in line)


def swept(folder: Path, *argv: str, **options: object) -> Progress:
    target = Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=argv, input=InputMode.NONE)
    progress = Progress()
    job = Job(target=target, results=folder / "results", options={"syscalls": ("write", "open", "unlink"), **options})
    for _ in ENGINE.search(job, progress):
        pass
    assert progress.complete
    return progress


def lines(progress: Progress, kind: str) -> set[int]:
    assert progress.recovery is not None, progress.notes
    document = json.loads(progress.recovery.with_suffix(".json").read_text())
    return {line for each in document[kind] for line in range(each["first"], each["last"] + 1)}


def test_what_a_fault_reaches_and_what_nothing_reaches(folder: Path) -> None:
    subprocess.run(["gcc", "--coverage", "-O0", "-o", "tool", "tool.c"], cwd=folder, check=True)
    progress = swept(folder, "./tool")
    assert number("a fault reaches") in lines(progress, "only_under_faults")
    assert {number("only a pair"), number("nothing reaches")} <= lines(progress, "never")
    assert not list(folder.glob("*.gcda")) and any("recovery: lines reached" in note for note in progress.notes)
    assert progress.sites <= 4  # libgcov's own reads and writes are no sites
    assert progress.recovery is not None
    assert 'fputs("write failed' in progress.recovery.read_text()
    pairs = swept(folder, "./tool", pairs=True)
    assert number("only a pair") in lines(pairs, "only_under_faults")
    assert lines(pairs, "never") == {number("nothing reaches")}


def test_a_program_of_the_configuration_is_built_for_it(folder: Path) -> None:
    (folder / "firedamp.toml").write_text('[targets.tool]\nprogram = true\nsources = ["tool.c"]\n')
    words = ("sweep", "--recovery", "--syscall", "write", "--errno", "EIO", "tool")
    argv = (sys.executable, "-P", "-m", "firedamp", *words)
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert "reached only under faults:" in done.stdout and f"tool.c:{number('a fault reaches')}" in done.stdout


def test_clang_is_named_and_refused(folder: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("needs clang")
    subprocess.run(["clang", "--coverage", "-O0", "-o", "tool", "tool.c"], cwd=folder, check=True)
    progress = swept(folder, "./tool", errnos=("EIO",))
    assert progress.recovery is None and any("clang's instruments" in note for note in progress.notes)
