"""A crash that only several inputs bring about: found, confirmed, shrunk and replayed as the sequence of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fuzz
from firedamp import campaign, reproducer_file, sequence
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.outcome import Exited, Outcome
from firedamp.reproducer import Payload, Reproducer
from firedamp.store import Store
from firedamp.target import Build, Profile, Target, TargetKind

SOURCES = Path(__file__).parents[1] / "targets"
PYTHON = """
import os

seen = set()


def one_input(data):
    seen.add(len(data) > 1)
    if len(seen) == 2:
        os.abort()
"""


class Brief:
    """The engine, until the first death that comes with what led to it."""

    name = "fuzz"

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        for attempt in fuzz.ENGINE.search(job, progress):
            yield attempt
            if attempt.before:
                return

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        return fuzz.ENGINE.replay(reproducer, build)


def run(target: Target, folder: Path, *, compiler: str = "clang", runs: int | None = None) -> campaign.Summary:
    job = Job(
        target=target,
        build=built(target, folder, compiler),
        results=folder / "results",
        time_s=250.0,
        runs=runs,
        seed=1,
    )
    with Store(folder / "results" / "findings.db") as store:
        return campaign.run(Brief(), job, store, progress=Progress())


def built(target: Target, folder: Path, compiler: str) -> Build | None:
    if target.kind is TargetKind.PYTHON:
        return None
    return build(target, Profile.HARDENED, compiler=compiler, cache=folder / "cache", allow_unguarded=True)


def harness(folder: Path, *cflags: str) -> Target:
    return Target(
        name="state",
        kind=TargetKind.HARNESS,
        root=SOURCES,
        workdir=folder,
        sources=("sequences/state_between_inputs.c",),
        cflags=cflags,
        max_len=8,
    )


@pytest.mark.needs("ptrace")
@pytest.mark.parametrize("compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("clang", "gcc")])
def test_a_crash_that_needs_another_input_first(tmp_path: Path, compiler: str) -> None:
    target = harness(tmp_path)
    summary = run(target, tmp_path, compiler=compiler)
    (finding,) = summary.findings
    assert (finding.detection.kind, finding.confirmed) == ("abort", (3, 3))
    assert summary.unconfirmed == ()
    reproducer = reproducer_file.read(Path(finding.reproducer))
    assert reproducer.kind is Payload.SEQUENCE
    first, second = sequence.parse(reproducer.payload)
    assert first.startswith(b"U") and len(second) == 3
    alone = replace(reproducer, payload=second, sequence=False)
    assert fuzz.ENGINE.replay(alone, built(target, tmp_path, compiler)).ending == Exited(status=0)


@pytest.mark.needs("ptrace")
def test_a_python_harness_has_a_past_too(tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text(PYTHON)
    target = Target(name="py", kind=TargetKind.PYTHON, root=tmp_path, harness="kept:one_input", max_len=2)
    (finding,) = run(target, tmp_path).findings
    inputs = sequence.parse(reproducer_file.read(Path(finding.reproducer)).payload)
    assert {len(each) > 1 for each in inputs} == {False, True}


@pytest.mark.needs("clang")
@pytest.mark.needs("ptrace")
def test_the_twin_that_keeps_no_state_is_silent(tmp_path: Path) -> None:
    summary = run(harness(tmp_path, "-DFIXED"), tmp_path, compiler="clang", runs=100_000)
    assert (summary.findings, summary.unconfirmed) == ((), ())
