"""Detections are survived in process, everything that was survived is confirmed outside, and the rest ends the life."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fuzz
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.guards import judge
from firedamp.target import Build, Profile, Target, TargetKind
from fuzz.command import plan
from fuzz.events import Kind
from fuzz.flags import CommandLine
from fuzz.supervisor import End, Supervisor
from fuzz.survival import DOUBTS

TARGETS = Path(__file__).parents[1] / "targets" / "survival"
LETTERS = "abBcdefghijklm"
RUNS = 3000

compilers = pytest.mark.parametrize(
    "compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("clang", "gcc", "zig")]
)

natively = pytest.mark.parametrize(
    "compiler", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("clang", "gcc")]
)


def built(name: str, folder: Path, *cflags: str, compiler: str = "clang", inputs: tuple[bytes, ...] = ()) -> Build:
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, data in enumerate(inputs):
        (seeds / str(number)).write_bytes(data)
    target = Target(
        name="t",
        kind=TargetKind.HARNESS,
        root=TARGETS,
        workdir=folder,
        sources=(f"{name}.c",),
        cflags=cflags,
        ldflags=("-lm", "-lpthread"),
        max_len=64,
        seeds=str(seeds),
    )
    return build(target, Profile.HARDENED, compiler=compiler, cache=folder / "cache", allow_unguarded=True)


def all_kinds() -> tuple[bytes, ...]:
    return tuple(letter.encode() * 40 for letter in LETTERS + ".")


@contextmanager
def life(made: Build, folder: Path, *, runs: int = RUNS) -> Iterator[tuple[Supervisor, End]]:
    """One life to its end."""
    corpus = folder / "corpus"
    corpus.mkdir()
    assert made.target.seeds is not None
    line = CommandLine(corpus=corpus, seeds=Path(made.target.seeds), max_len=64, timeout_s=20, rss_limit_mb=1024)
    with Supervisor(plan(made.target, made, folder=folder / "child", corpus=corpus), max_len=64) as supervisor:
        supervisor.begin(line.argv(seed=1, runs=runs))
        end = supervisor.hear(60)
        assert end is not None
        yield supervisor, end


def search(
    made: Build, folder: Path, *, runs: int, time_s: float = 60, **options: object
) -> tuple[list[Attempt], Progress]:
    progress = Progress()
    job = Job(
        target=made.target,
        build=made,
        results=folder / "results",
        time_s=time_s,
        runs=runs,
        seed=1,
        options=options,
    )
    return list(fuzz.ENGINE.search(job, progress)), progress


def lives(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "results" / "t" / "journal.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "life"]


@compilers
def test_each_kind_is_survived_and_told_apart_in_one_life(tmp_path: Path, compiler: str) -> None:
    made = built("kinds", tmp_path, compiler=compiler, inputs=all_kinds())
    with life(made, tmp_path) as (supervisor, end):
        counts = supervisor.events.counts()
        assert (end.signal, end.exit_status, end.reading.inside) == (None, 0, False)
        assert supervisor.monitor.executions >= RUNS  # it went on behind each of them
        assert supervisor.events.survived == sum(counts.values()) >= len(LETTERS)
        assert supervisor.events.handled() == ()
        sites = {(each.kind, each.frames[0]) for each in counts if each.frames}
    assert len(sites) >= len(LETTERS) - 4  # smashes share one, compilers merge some, a jump into nowhere has none
    kinds = Counter(kind for kind, _ in sites)
    assert {*kinds} >= {Kind.SIGNAL, Kind.STACK_SMASH, Kind.ABORT, Kind.EXIT}  # zig leaves asserts out


@compilers
def test_the_fixed_twin_has_nothing_to_survive(tmp_path: Path, compiler: str) -> None:
    made = built("kinds", tmp_path, "-DFIXED", compiler=compiler, inputs=all_kinds())
    with life(made, tmp_path) as (supervisor, end):
        assert end.exit_status == 0
        assert (supervisor.events.survived, supervisor.events.counts()) == (0, {})
        assert supervisor.events.take() is None


@pytest.mark.needs("clang", "ptrace")
def test_what_was_survived_is_looked_at_in_fresh_processes(tmp_path: Path) -> None:
    made = built("kinds", tmp_path, inputs=all_kinds())
    attempts, progress = search(made, tmp_path, runs=RUNS)
    kinds = {detection.kind for attempt in attempts for detection in judge(attempt.outcome)}
    assert kinds >= {
        *("abort", "stack-smash", "segv-null", "assert", "exit", "stack-exhaustion", "fortify-overflow"),
        *("fpe", "ill", "segv-write", "heap-corruption", "segv-exec"),
    }
    assert len(lives(tmp_path)) == 1
    assert progress.executions >= RUNS
    assert progress.survived >= len(LETTERS)
    assert any(note.startswith(f"survived {progress.survived:,} detections") for note in progress.notes)


@pytest.mark.needs("clang", "ptrace")
def test_what_a_fresh_process_never_shows_costs_a_few_lives_and_is_then_kept_apart(tmp_path: Path) -> None:
    made = built("in_process", tmp_path, inputs=(b"x",))
    job = Job(target=made.target, build=made, results=tmp_path / "results", time_s=90, seed=1)
    progress = Progress()
    attempts = fuzz.ENGINE.search(job, progress)
    attempt = next(iter(attempts))
    attempts.close()  # type: ignore[attr-defined]
    assert judge(attempt.outcome) == ()
    assert attempt.reproducer.payload.startswith(b"x")
    assert [life["survived"] for life in lives(tmp_path)] >= [1] * (DOUBTS - 1)
    assert any(note.startswith(f"{DOUBTS} of them did nothing") for note in progress.notes)


@pytest.mark.needs("clang", "ptrace")
def test_without_survival_each_detection_ends_a_life(tmp_path: Path) -> None:
    made = built("kinds", tmp_path, inputs=all_kinds()[:3])
    attempts, progress = search(made, tmp_path, runs=200, survive=False)
    assert attempts
    assert len(lives(tmp_path)) > 1
    assert progress.survived == 0


@pytest.mark.needs("clang")
@pytest.mark.parametrize("letter", ["h", "t"])
def test_what_cannot_be_survived_ends_the_life(tmp_path: Path, letter: str) -> None:
    made = built("lethal", tmp_path, inputs=(letter.encode() * 4,))
    with life(made, tmp_path) as (supervisor, end):
        assert (end.signal, end.exit_status) != (None, 0)
        assert (end.reading.inside, end.reading.input) == (True, letter.encode() * 4)
        assert supervisor.events.survived == 0
        assert (end.fatal is not None) == (letter == "h")


@pytest.mark.needs("clang")
def test_a_handler_of_the_target_s_own_stays_and_is_known(tmp_path: Path) -> None:
    made = built("lethal", tmp_path, "-DHANDLED", inputs=(b"s" * 4,))
    with life(made, tmp_path) as (supervisor, end):
        assert end.exit_status == 0
        assert {(each.kind, each.detail) for each in supervisor.events.counts()} == {(Kind.EXIT, 9)}  # from the handler
        assert supervisor.events.handled() == ("SIGFPE",)


@pytest.mark.needs("clang")
def test_a_bug_behind_a_bug_is_reached_because_nothing_is_left_behind(tmp_path: Path) -> None:
    """Every input but one in 256 dies at once and leaves a counter, a file, a mask and a rounding mode behind."""
    made = built("state", tmp_path)
    with life(made, tmp_path, runs=20_000) as (supervisor, end):
        sites = {each.frames[0]: count for each, count in supervisor.events.counts().items()}
        assert end.exit_status == 0
        assert len(sites) == 2  # shallow and deep; none was blinded, nothing has leaked
        assert max(sites.values()) > 19_000
        assert supervisor.events.unrestored_bytes == 0


@pytest.mark.needs("clang")
def test_too_many_globals_are_not_put_back_and_that_is_known(tmp_path: Path) -> None:
    made = built("state", tmp_path, "-DLARGE")
    with life(made, tmp_path, runs=2_000) as (supervisor, end):
        assert end.exit_status == 0
        assert supervisor.events.survived == 3  # the control of the test above: then it is blind
        assert supervisor.events.unrestored_bytes > 1 << 20


@natively
def test_fortified_calls_in_bounds_do_what_they_should_and_one_byte_more_is_seen(tmp_path: Path, compiler: str) -> None:
    cases = tuple(letter.encode() for letter in "abcdefghij")
    for flags, expected in (((), set()), (("-DMORE",), {Kind.FORTIFY})):
        folder = tmp_path / str(len(flags))
        folder.mkdir()
        made = built("in_bounds", folder, *flags, compiler=compiler, inputs=cases)
        with life(made, folder, runs=100) as (supervisor, end):
            counts = supervisor.events.counts()
            assert (end.signal, end.exit_status) == (None, 0)
            assert {each.kind for each in counts} == expected
            assert len({each.frames[0] for each in counts}) == (len(cases) if expected else 0)


@natively
@pytest.mark.needs("ptrace")
def test_damage_that_only_the_fuzzer_falls_over_is_found_and_put_out_of_the_way(tmp_path: Path, compiler: str) -> None:
    made = built("heap_kept", tmp_path, compiler=compiler, inputs=(b"ov", b"xx"))
    attempts, progress = search(made, tmp_path, runs=RUNS, time_s=200)  # a damaged heap may hold a life up
    assert {detection.kind for detection in judge(attempts[0].outcome)} == {"heap-corruption"}
    assert attempts[0].reproducer.payload.startswith(b"ov")
    assert progress.executions >= RUNS
    assert any("quarantine" in note for note in progress.notes)


@natively
@pytest.mark.needs("ptrace")
def test_so_is_damage_that_takes_several_inputs(tmp_path: Path, compiler: str) -> None:
    made = built("heap_kept", tmp_path, "-DTOGETHER", compiler=compiler, inputs=(b"ov", b"in"))
    attempts, _ = search(made, tmp_path, runs=RUNS)
    together = next(attempt for attempt in attempts if attempt.before)
    assert any(data.startswith(b"in") for data in together.before)


@natively
@pytest.mark.needs("ptrace")
def test_where_the_heap_is_whole_nothing_is_looked_for(tmp_path: Path, compiler: str) -> None:
    made = built("heap_kept", tmp_path, "-DFIXED", compiler=compiler, inputs=(b"ov", b"xx"))
    attempts, progress = search(made, tmp_path, runs=RUNS)
    assert attempts == []
    assert len(lives(tmp_path)) == 1
    assert not any("between executions" in note or "quarantine" in note for note in progress.notes)
