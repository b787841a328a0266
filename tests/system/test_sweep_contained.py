"""Each run of a sweep starts from the same state: what a run leaves, the next one does not see, or it is said."""

import os
import subprocess
from pathlib import Path

import pytest

from firedamp.engine import Attempt, Job, Progress
from firedamp.outcome import Exited
from firedamp.target import InputMode, Target, TargetKind
from inject import ENGINE

pytestmark = [pytest.mark.needs("ptrace"), pytest.mark.needs("seccomp"), pytest.mark.needs("gcc")]
SOURCE = Path(__file__).parents[1] / "targets" / "errors" / "run_counter.c"


def swept(folder: Path, *flags: str) -> tuple[list[Attempt], Progress]:
    program = folder / "counter"
    subprocess.run(["gcc", "-O1", "-g", *flags, "-o", program, SOURCE], check=True)
    work = folder / "work"
    work.mkdir()
    target = Target(name="t", kind=TargetKind.COMMAND, root=work, command=(str(program),), input=InputMode.NONE)
    job = Job(target=target, results=folder / "results", options={"syscalls": ("read", "close"), "errnos": ("EIO",)})
    progress = Progress()
    return list(ENGINE.search(job, progress)), progress


def test_no_run_sees_the_one_before(tmp_path: Path) -> None:
    attempts, progress = swept(tmp_path)
    assert len(attempts) >= 3 and progress.complete
    for attempt in attempts:
        baseline = attempt.outcome.baseline
        assert baseline is not None and baseline.stdout == b"1 1\n"
        assert attempt.outcome.before == {}  # neither the count nor what a left child wrote
        if attempt.outcome.ending == Exited(status=0):
            assert attempt.outcome.stdout == b"1 1\n"
    assert not any("behind" in note for note in progress.notes)


@pytest.mark.skipif(not os.access("/proc/sysvipc/shm", os.R_OK), reason="needs System V IPC")
def test_what_cannot_be_put_back_is_said(tmp_path: Path) -> None:
    try:
        _, progress = swept(tmp_path, "-DSHARED")
    finally:
        subprocess.run(["ipcrm", "-M", "0x66697265"], check=False, capture_output=True)
    (said,) = (note for note in progress.notes if "behind" in note)
    assert "leaves a System V shared memory segment" in said and "may depend on the one before" in said
