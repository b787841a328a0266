"""The engine as a campaign uses it, over real builds of small C harnesses."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest

import fuzz
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError
from firedamp.exchange import digest
from firedamp.outcome import Exited, Killed, TimedOut
from firedamp.target import Build, Limits, Profile, Target, TargetKind
from fuzz.pending import Pending
from fuzz.recurrence import EAGER
from fuzz.search import Search

pytestmark = [pytest.mark.needs("clang"), pytest.mark.needs("ptrace")]

HEAD = """
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[16] = "";
  if (size < sizeof text) memcpy(text, data, size);
"""
TAIL = "\n  return text[0] == 1;\n}\n"
MAGIC = """
  if (text[0] == 'F') {
    puts("\\n#9 NEW cov: 999999 ft: 1");
    if (text[1] == 'U') {
      puts("deeper"); /* a side effect at each step: the compiler may not fold the steps into one test */
      if (text[2] == 'Z') %s;
    }
  }
"""
SUM = "unsigned sum = 7; for (size_t i = 0; i < size; i++) sum = sum * 31 + data[i]; sum *= 2654435761u;"  # hashed()
Make = Callable[..., Build]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def compile_harness(body: str, **facts: object) -> Build:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        (root / "harness.c").write_text(HEAD + body + TAIL)
        target = Target(
            name="t",
            kind=TargetKind.HARNESS,
            root=root,
            sources=("harness.c",),
            max_len=64,
            **facts,  # type: ignore[arg-type]
        )
        return build(target, Profile.HARDENED, compiler="clang", cache=tmp_path / "cache", allow_unguarded=True)

    return compile_harness


def search(
    made: Build,
    folder: Path,
    *,
    time_s: float = 60.0,
    enough: int | None = 1,
    runs: int | None = None,
    workers: int = 1,
) -> tuple[list[Attempt], Progress]:
    """The attempts until `enough` (None: until the bounds end it)."""
    progress = Progress()
    job = Job(
        target=made.target, build=made, results=folder / "results", time_s=time_s, runs=runs, seed=1, workers=workers
    )
    attempts: list[Attempt] = []
    for attempt in fuzz.ENGINE.search(job, progress):
        attempts.append(attempt)
        if len(attempts) == enough:
            break
    return attempts, progress


def test_a_crash_comes_with_its_input_and_a_fresh_outcome(make: Make, tmp_path: Path) -> None:
    made = make(MAGIC % "abort()")
    attempts, progress = search(made, tmp_path)
    [attempt] = attempts
    assert attempt.outcome.ending == Killed(signal=6)
    assert attempt.reproducer.payload.startswith(b"FUZ")
    assert fuzz.ENGINE.replay(attempt.reproducer, made).ending == Killed(signal=6)
    assert 0 < progress.edges < 1000  # what the target prints is not taken for libFuzzer's word


def test_the_fixed_twin_has_no_attempts_and_the_runs_are_used_up(make: Make, tmp_path: Path) -> None:
    attempts, progress = search(make(MAGIC % "(void)0"), tmp_path, runs=200_000, enough=None)
    assert attempts == []
    assert 200_000 <= progress.executions <= 200_100
    assert progress.corpus > 0


@pytest.mark.parametrize(
    ("present", "lethal"), [("corpora/t/seeds/one", False), ("corpora/t", False), ("notes/t", True)]
)
def test_seeds_are_no_part_of_the_room(make: Make, tmp_path: Path, present: str, lethal: bool) -> None:
    for name in ("corpora/t/seeds/one", "notes/t"):
        (tmp_path / "project" / name).parent.mkdir(parents=True)
        (tmp_path / "project" / name).write_bytes(b"a seed")
    made = make(f'if (!access("{present}", F_OK)) abort();', seeds="corpora/t/seeds")
    attempts, _ = search(made, tmp_path, runs=100)
    assert bool(attempts) is lethal
    assert all(attempt.outcome.ending == Killed(signal=6) for attempt in attempts)  # of the fresh process, too


WILD = """
  char line[256]; /* nothing of it changes which edges are reached */
  static void *blocks[8];
  static size_t sizes[8];
  int count = 0;
  if (text[0] == 'b' && text[1] == 'a' && text[2] == 'd') {
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) && count < 8) {
      unsigned long start, end;
      if (strstr(line, "memfd:firedamp") && sscanf(line, "%lx-%lx rw", &start, &end) == 2)
        blocks[count] = (void *)start, sizes[count++] = end - start;
    }
    fclose(maps);
    while (count--) memset(blocks[count], 0xff, sizes[count]);
  }
"""


def test_shared_memory_that_the_target_has_overwritten_is_not_believed(make: Make, tmp_path: Path) -> None:
    made = make(WILD, seeds="seeds")
    (tmp_path / "project" / "seeds").mkdir()
    (tmp_path / "project" / "seeds" / "one").write_bytes(b"bad")
    attempts, progress = search(made, tmp_path, time_s=3.0, enough=None)
    assert attempts == []
    assert 0 <= progress.executions < 100_000_000
    assert progress.survived == 0
    assert any("wrote over memory" in note for note in progress.notes)


def test_a_target_that_removes_its_folders_does_not_end_the_search(make: Make, tmp_path: Path) -> None:
    ours = f"../../../firedamp-{os.getpid()}-*/room/work/worker-0"
    made = make(f'if (system("rm -rf {ours} 2>/dev/null")) puts("");')
    attempts, progress = search(made, tmp_path, runs=20, enough=None)
    assert attempts == []
    assert progress.executions >= 20


def test_the_corpus_is_read_to_the_end_however_few_runs_are_wanted(make: Make, tmp_path: Path) -> None:
    made = make("", seeds="seeds")
    (made.target.root / "seeds").mkdir()
    for number in range(5):
        (made.target.root / "seeds" / str(number)).write_bytes(b"%d" % number)
    _, progress = search(made, tmp_path, runs=1, enough=None)
    assert (progress.executions, progress.complete) == (6, True)  # and the empty input, which libFuzzer runs first


def test_life_goes_on_after_each_death(make: Make, tmp_path: Path) -> None:
    attempts, progress = search(make("if (size > 2) raise(SIGUSR1);"), tmp_path, time_s=60, enough=EAGER + 4)
    lines = (tmp_path / "results" / "t" / "journal.jsonl").read_text().splitlines()
    lives = [line for line in map(json.loads, lines) if line["event"] == "life"]
    assert len(attempts) == EAGER + 4
    assert len(lives) > len(attempts)
    assert sum(progress.skips.values()) == len(lives) - len(attempts)
    assert json.loads(lines[-1])["event"] == "stop"


def test_the_next_search_begins_where_this_one_ended(make: Make, tmp_path: Path) -> None:
    made = make(MAGIC % "(void)0")
    _, first = search(made, tmp_path, runs=200_000, enough=None)
    _, second = search(made, tmp_path, runs=200, enough=None)
    assert second.edges == first.edges
    _, control = search(made, tmp_path / "elsewhere", runs=200, enough=None)
    assert control.edges < first.edges


def test_a_seed_that_kills_at_once_is_set_aside_and_fuzzing_goes_on(make: Make, tmp_path: Path) -> None:
    made = make("if (text[0] == '!') abort(); if (text[0] == '?') puts(text);", seeds="seeds")
    seeds = made.target.root / "seeds"
    seeds.mkdir()
    (seeds / "bad").write_bytes(b"!bad")
    (seeds / "good").write_bytes(b"?good")
    attempts, progress = search(made, tmp_path, runs=20_000, enough=None)
    assert attempts[0].reproducer.payload == b"!bad"
    assert progress.executions >= 20_000
    assert sorted(path.name for path in seeds.iterdir()) == ["bad", "good"]
    kept = tmp_path / "results" / "t" / "quarantine"
    assert b"!bad" in {path.read_bytes() for path in kept.iterdir()}
    assert any(str(kept) in note for note in progress.notes)


def test_a_slow_seed_is_set_aside_and_said(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(
        f"{SUM} if (sum == {hashed(b'!slow')}u) sleep(30); if (text[0] == '?') puts(text);",  # and no mutant of it
        seeds="seeds",
        limits=Limits(wall_s=40),
    )
    monkeypatch.setattr("fuzz.search.SLOW_SHARE", 2.0 / 40)  # so that it has long been seen when its sleep ends
    seeds = made.target.root / "seeds"
    seeds.mkdir()
    (seeds / "slow").write_bytes(b"!slow")
    (seeds / "good").write_bytes(b"?good")
    attempts, progress = search(made, tmp_path, time_s=60, runs=2_000, enough=None)
    assert attempts == []
    assert {path.read_bytes() for path in (tmp_path / "results" / "t" / "quarantine").iterdir()} == {b"!slow"}
    assert any("longer than 2 s" in note for note in progress.notes)
    assert sorted(path.name for path in seeds.iterdir()) == ["good", "slow"]


def test_workers_read_what_others_have_found(make: Make, tmp_path: Path) -> None:
    """An input that no mutation makes is laid into the corpus while both are at work: both are to reach its edge."""
    made = make(SUM + " if (sum == WANTED) puts(text);", cflags=(f"-DWANTED={hashed(b'found by another')}u",))
    progress, started, laid = Progress(), time.monotonic(), 0.0
    reached: list[int] = []

    def stopping() -> bool:
        nonlocal laid
        corpus = tmp_path / "results" / "t" / "corpus"
        edges = [worker.supervisor.follow().edges for worker in search._workers]
        if not laid and time.monotonic() - started > 1.5 and min(edges) > 0:
            reached.extend(edges)
            (corpus / digest(b"found by another")).write_bytes(b"found by another")
            laid = time.monotonic()
        return bool(laid) and (all(now > then for now, then in zip(edges, reached, strict=True)) or stalled())

    def stalled() -> bool:
        return time.monotonic() - laid > 50

    job = Job(
        target=made.target, build=made, results=tmp_path / "results", time_s=100, seed=1, workers=2, stopping=stopping
    )
    with Search(job, progress) as search:
        assert list(search.attempts()) == []
        assert laid and not stalled()


def test_a_child_that_is_killed_before_its_first_life_is_replaced(make: Make, tmp_path: Path) -> None:
    made = make("", seeds="seeds")
    (made.target.root / "seeds").mkdir()
    (made.target.root / "seeds" / "one").write_bytes(b"one")
    progress = Progress()
    job = Job(target=made.target, build=made, results=tmp_path / "results", time_s=60, runs=1000, seed=1)
    with Search(job, progress) as search:
        os.kill(search._workers[0].supervisor.pid, SIGKILL)
        assert list(search.attempts()) == []
    assert progress.executions >= 1000
    assert any("killed from outside and replaced" in note for note in progress.notes)


def test_what_was_survived_before_a_child_was_replaced_counts(make: Make, tmp_path: Path) -> None:
    progress = Progress()
    counted: list[int] = []

    def replaced() -> bool:
        return any("killed from outside and replaced" in note for note in progress.notes)

    def stopping() -> bool:
        if not counted and progress.survived:
            counted.append(progress.survived)
            os.kill(search._workers[0].supervisor.pid, SIGKILL)
        return replaced() and progress.survived != counted[0]

    made = make("if (size > 2) abort();")
    job = Job(target=made.target, build=made, results=tmp_path / "results", time_s=60, seed=1, stopping=stopping)
    with Search(job, progress) as search:
        for _ in search.attempts():
            pass
    assert replaced()
    assert counted[0] < progress.survived <= progress.executions


def hashed(data: bytes) -> int:
    total = 7
    for byte in data:
        total = (total * 31 + byte) % 2**32
    return total * 2654435761 % 2**32


def test_death_on_the_empty_input_is_reported_and_does_not_loop(make: Make, tmp_path: Path) -> None:
    started = time.monotonic()
    attempts, progress = search(make("if (size == 0) raise(SIGUSR1);"), tmp_path, enough=None)
    assert [attempt.reproducer.payload for attempt in attempts] == [b""]
    assert any("empty input" in note for note in progress.notes)
    assert time.monotonic() - started < 30  # it ended by itself, not by its time


def test_death_on_a_newline_is_no_dead_end(make: Make, tmp_path: Path) -> None:
    made = make("if (size == 1 && data[0] == '\\n') raise(SIGUSR1);")
    attempts, progress = search(made, tmp_path, runs=50_000, enough=None)
    assert attempts[0].reproducer.payload == b"\n"
    assert progress.executions >= 50_000


def test_a_hang_is_a_time_out(make: Make, tmp_path: Path) -> None:
    made = make("if (size == 3) for (;;) pause();", limits=Limits(wall_s=1))
    attempts, _ = search(made, tmp_path)
    assert isinstance(attempts[0].outcome.ending, TimedOut)
    assert len(attempts[0].reproducer.payload) == 3


def test_an_exit_is_seen(make: Make, tmp_path: Path) -> None:
    attempts, _ = search(make("if (size == 3) exit(3);"), tmp_path)
    assert attempts[0].outcome.ending == Exited(status=3)


def test_the_input_survives_a_smashed_stack(make: Make, tmp_path: Path) -> None:
    """Everything above is overwritten, libFuzzer's frames included."""
    made = make("if (size == 4) { volatile char *p = text; for (int i = 0; i < 3000; i++) p[i] = 'A'; }")
    attempts, _ = search(made, tmp_path)
    assert len(attempts[0].reproducer.payload) == 4
    assert isinstance(attempts[0].outcome.ending, Killed)


def test_what_a_killed_run_could_not_judge_is_looked_at_first(make: Make, tmp_path: Path) -> None:
    made = make(
        "static int armed; if (text[0] == '!') abort(); if (text[0] == '?' && armed) abort(); armed = size == 5;"
    )
    pending = Pending(tmp_path / "results" / "t" / "pending")
    for data, before in ((b"!alone", ()), (b"?", (b"fives",)), (b"nothing", (b"under way",))):
        pending.keep(data, before)
    attempts, _ = search(made, tmp_path, runs=1, enough=None)
    assert {(attempt.reproducer.payload, attempt.before) for attempt in attempts} >= {
        (b"!alone", ()),
        (b"?", (b"fives",)),
    }
    assert b"nothing" not in {attempt.reproducer.payload for attempt in attempts}
    assert list(pending.left()) == []


def test_workers_share_one_corpus(make: Make, tmp_path: Path) -> None:
    attempts, progress = search(make(MAGIC % "(void)0"), tmp_path, runs=100_000, workers=2, enough=None)
    assert attempts == []
    assert 100_000 <= progress.executions <= 100_200
    assert progress.corpus > 0


def test_a_refused_flag_is_said_before_anything_starts(make: Make, tmp_path: Path) -> None:
    made = make("")
    job = Job(target=made.target, build=made, results=tmp_path / "results", flags=("-fork=2",))
    with pytest.raises(UsageError, match="--workers"):
        next(iter(fuzz.ENGINE.search(job, Progress())))
    assert not (tmp_path / "results").exists()


def test_libfuzzers_own_complaint_is_passed_on(make: Make, tmp_path: Path) -> None:
    made = make("", dictionary="broken.dict")
    (made.target.root / "broken.dict").write_text("this is no dictionary\n")
    with pytest.raises(UsageError, match="no dictionary"):
        search(made, tmp_path, runs=1000)


def test_stopping_is_heeded_at_once(make: Make, tmp_path: Path) -> None:
    made = make("")
    progress, started, told = Progress(), time.monotonic(), []

    def stopping() -> bool:
        now = time.monotonic()
        if now - started > 2:
            told.append(now)
        return bool(told)

    job = Job(target=made.target, build=made, results=tmp_path / "results", stopping=stopping)
    assert list(fuzz.ENGINE.search(job, progress)) == []
    assert time.monotonic() - told[0] < 10
    assert progress.complete is False
