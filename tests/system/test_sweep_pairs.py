"""Two faults in one run: what fails in an error handler is found, and only there."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from firedamp import campaign
from firedamp.campaign import Summary
from firedamp.engine import Job, Progress
from firedamp.store import Store
from firedamp.target import InputMode, Target, TargetKind
from inject import ENGINE
from inject.policy import parse

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp"), pytest.mark.needs("gcc")]

SOURCE = Path(__file__).parents[1] / "targets" / "errors" / "fallback_copy.c"


def sweep(folder: Path, program: Path, **options: object) -> tuple[Progress, Summary]:
    folder.mkdir(exist_ok=True)
    target = Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=(str(program),), input=InputMode.NONE)
    syscalls = ("rename", "write", "read")
    job = Job(target=target, results=folder / "results", options={"syscalls": syscalls, **options})
    progress = Progress()
    with Store(folder / "results" / "findings.db") as store:
        summary = campaign.run(ENGINE, job, store, progress=progress)
    assert progress.complete and progress.left == 0
    assert progress.planned == progress.done + progress.taken_over + sum(progress.skips.values())
    return progress, summary


def compiled(folder: Path, *flags: str) -> Path:
    program = folder / "program"
    subprocess.run(["gcc", "-O1", "-g", "-w", *flags, "-o", program, SOURCE], check=True)
    return program


def test_what_fails_in_a_handler_is_found_by_a_pair_alone(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    single, summary = sweep(tmp_path / "single", program)
    assert summary.findings == ()
    progress, summary = sweep(tmp_path / "pairs", program, pairs=True)
    (finding,) = summary.findings
    assert finding.detection.kind == "silent-success" and finding.confirmed == (3, 3)
    frame = finding.detection.frame
    assert frame is not None and frame.line == 24  # the write, not the rename that was handled
    policy = Path(finding.reproducer).read_text()
    assert [rule.syscall for rule in parse(policy).rules] == ["rename", "write"]
    assert "# rename fails with" in policy and "# write fails with ENOSPC" in policy
    assert "then write ENOSPC: exit 0" in finding.detection.message
    assert progress.done > single.done and single.pairs == 0
    assert progress.pairs == progress.planned - single.planned > 0
    again, summary = sweep(tmp_path / "pairs", program, pairs=True, resume=True)
    assert (again.done, again.taken_over) == (0, progress.done) and len(summary.findings) == 1


def test_the_fixed_twin_has_none(tmp_path: Path) -> None:
    progress, summary = sweep(tmp_path / "pairs", compiled(tmp_path, "-DFIXED"), pairs=True)
    assert progress.done > 0 and summary.findings == ()


def test_a_pair_is_tried_once_for_each_first_site(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    folder = tmp_path / "work"
    folder.mkdir()
    target = Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=(str(program),), input=InputMode.NONE)
    job = Job(target=target, results=tmp_path / "results", options={"syscalls": ("rename", "write"), "pairs": True})
    texts = [attempt.reproducer.payload.decode() for attempt in ENGINE.search(job, Progress())]
    rules = [parse(text).rules for text in texts]
    pairs = [pair for pair in rules if len(pair) == 2 and pair[0].syscall == "rename"]  # type: ignore[union-attr]
    seconds = Counter(str(pair[1].verdict) for pair in pairs)  # type: ignore[union-attr]
    assert pairs and set(seconds.values()) == {1}
    shutil.rmtree(folder)


def test_a_sweep_that_ends_before_its_pairs_are_planned_is_not_complete(tmp_path: Path) -> None:
    single, _ = sweep(tmp_path / "single", compiled(tmp_path))
    folder = tmp_path / "pairs"
    folder.mkdir()
    program = (str(tmp_path / "program"),)
    target = Target(name="tool", kind=TargetKind.COMMAND, root=folder, command=program, input=InputMode.NONE)
    options = {"syscalls": ("rename", "write", "read"), "pairs": True, "snapshots": False}
    job = Job(target=target, results=folder / "results", runs=single.done, options=options)
    progress = Progress()
    attempts = list(ENGINE.search(job, progress))
    assert (len(attempts), progress.left, progress.complete) == (single.done, 0, False)
    assert any("still without a second fault" in note for note in progress.notes)
