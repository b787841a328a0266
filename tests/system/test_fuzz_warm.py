"""Replays share one tracer and one private folder; each run is a fresh process all the same."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedamp import campaign, guards, reproducer_file
from firedamp.engine import Job, Progress
from firedamp.finding import Finding
from firedamp.outcome import Exited
from firedamp.store import Store
from firedamp.target import InputMode, Limits, Target, TargetKind
from fuzz import ENGINE
from fuzz.warm import WarmBench

pytestmark = pytest.mark.needs("ptrace")


def shell(root: Path, name: str, script: str) -> Target:
    return Target(
        name=name,
        kind=TargetKind.COMMAND,
        root=root,
        command=("sh", "-c", script),
        input=InputMode.STDIN,
        limits=Limits(wall_s=5.0),
    )


@pytest.fixture
def warm() -> Iterator[WarmBench]:
    one = WarmBench()
    yield one
    one.close()


def test_the_same_target_keeps_its_tracer_and_another_one_ends_it(warm: WarmBench, tmp_path: Path) -> None:
    first, second = shell(tmp_path, "a", "exit 3"), shell(tmp_path, "b", "exit 4")

    bench = warm.get(first, None)
    assert bench.run_input(b"").ending == Exited(status=3)
    room, worker = bench.bench.room.path, bench.bench.executor.worker_pid
    assert warm.get(first, None) is bench
    assert bench.run_input(b"").ending == Exited(status=3)
    assert bench.bench.executor.worker_pid == worker

    assert warm.get(second, None).run_input(b"").ending == Exited(status=4)
    assert not room.exists()
    assert not Path(f"/proc/{worker}").exists()


def test_a_killed_tracer_is_replaced(warm: WarmBench, tmp_path: Path) -> None:
    bench = warm.get(shell(tmp_path, "a", "exit 3"), None)
    for _ in range(2):
        bench.run_input(b"")
        assert bench.bench.executor.worker_pid is not None
        os.kill(bench.bench.executor.worker_pid, signal.SIGKILL)
        assert bench.run_input(b"").ending == Exited(status=3)


def test_nothing_of_one_run_is_seen_by_the_next(warm: WarmBench, tmp_path: Path) -> None:
    (tmp_path / "once").write_text("")
    target = shell(tmp_path, "a", "rm once")

    assert [warm.get(target, None).run_input(b"").ending for _ in range(3)] == [Exited(status=0)] * 3


@pytest.mark.slow
def test_a_campaign_ends_soon_after_its_time_though_it_has_to_shrink(tmp_path: Path) -> None:
    """A command without coverage that dies on every input longer than 40 bytes, and is slow."""
    root, seeds = tmp_path / "project", tmp_path / "project" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "long").write_bytes(bytes(range(1, 200)) * 4)
    script = "sleep 0.05; [ $(wc -c) -gt 40 ] && kill -SEGV $$"
    target = Target(
        name="slow",
        kind=TargetKind.COMMAND,
        root=root,
        command=("sh", "-c", script),
        input=InputMode.STDIN,
        seeds="seeds",
    )

    def lasted(name: str, shrink_s: float | None, **bounds: float) -> tuple[float, list[Finding]]:
        job = Job(target=target, results=tmp_path / name, seed=1, **bounds)  # type: ignore[arg-type]
        found: list[Finding] = []
        started = time.monotonic()
        with Store(job.results / "findings.sqlite") as store:
            campaign.run(
                ENGINE,
                job,
                store,
                progress=Progress(),
                on_finding=lambda finding, _: found.append(finding),
                shrink_s=shrink_s,
            )
        return time.monotonic() - started, found

    # To start, to look at a death and to confirm it: as slow as this machine is, and not what is measured here.
    least_s, _ = lasted("least", 0.0, runs=10)
    spent_s, found = lasted("results", None, time_s=3.0)
    assert spent_s < 3.0 + campaign.SHRINK_LEAST_S + 3.0 + least_s
    assert [each.detection.kind for each in found] == ["signal-SIGSEGV"]
    assert guards.judge(ENGINE.replay(reproducer_file.read(Path(found[0].reproducer)), None))
