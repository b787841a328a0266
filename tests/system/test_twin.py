"""The sanitizer twin: its server, what it looks at, and its findings in a campaign."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fuzz.twin
from firedamp import campaign
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress, load
from firedamp.errors import ToolMissing
from firedamp.reproducer_file import read
from firedamp.store import Store
from firedamp.target import Build, Limits, Profile, Target, TargetKind
from fuzz.twin import Server, Twin

TARGETS = Path(__file__).parents[1] / "targets" / "twin"
BOTH = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gcc", "clang")]
pytestmark = pytest.mark.needs("ptrace")


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server has the lowest priority: on a busy machine five seconds may be too few for two inputs."""
    monkeypatch.setattr(fuzz.twin, "LATE_S", 250.0)


def overread(*cflags: str) -> Target:
    limits = Limits(cpu_s=0.2)  # a hang is a second of processor time
    return Target(
        name="o",
        kind=TargetKind.HARNESS,
        root=TARGETS,
        sources=("overread.c",),
        cflags=cflags,
        limits=limits,
        max_len=32,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builds")


def sanitized(target: Target, cache: Path, compiler: str) -> Build:
    return build(target, Profile.ASAN, compiler=compiler, cache=cache)


@pytest.mark.parametrize("compiler", BOTH)
def test_a_server_tells_places_apart_and_lives_on(compiler: str, cache: Path, tmp_path: Path) -> None:
    with Server(sanitized(overread("-DOLD"), cache, compiler), tmp_path) as server:
        assert server.run(b"") is None
        first = server.run(b"a")
        assert first is not None and first == server.run(b"bc")  # the old shift hides what lies behind it
    with Server(sanitized(overread("-DHANG", "-DLEAVE"), cache, compiler), tmp_path) as server:
        read_past = server.run(b"PEEKx")
        assert read_past not in (None, first, "without a stack")
        for other in (b"HANGx", b"EXITx", b"harmless"):
            assert server.run(other) is None
        assert server.run(b"PEEKy") == read_past
    with Server(sanitized(overread("-DFIXED"), cache, compiler), tmp_path) as server:
        assert server.run(b"PEEKx") is None


def followed(twin: Twin, wanted: int) -> Iterator[Attempt]:
    """What comes until the twin has read so many inputs; it hurries, for no search runs beside it."""
    deadline = time.monotonic() + 250
    while twin.ran < wanted and not twin.failure and time.monotonic() < deadline:
        yield from twin.late()


@pytest.mark.needs("gcc")
def test_one_input_of_each_place_is_looked_at_and_new_files_are_seen(cache: Path, tmp_path: Path) -> None:
    corpus, target = tmp_path / "corpus", overread()
    corpus.mkdir()
    for name, data in (("1", b"PEEKa"), ("2", b"PEEKb"), ("3", b"harmless")):
        (corpus / name).write_bytes(data)
    with Twin(target, lambda: sanitized(target, cache, "gcc"), (corpus,), tmp_path / "private") as twin:
        (attempt,) = followed(twin, 1 + 3)  # the empty input comes first
        assert attempt.reproducer.profile is Profile.ASAN and attempt.build is not None
        assert (twin.ran, twin.deaths) == (4, 2)
        (corpus / "4").write_bytes(b"PEEKc")
        assert list(followed(twin, 5)) == [] and twin.deaths == 3
        assert (
            twin.words().startswith("the sanitizer twin: inputs run: 5,") and "deaths: 3, at places: 1" in twin.words()
        )


def test_a_twin_that_cannot_be_built_says_why_and_ends_nothing(tmp_path: Path) -> None:
    def missing() -> Build:
        raise ToolMissing("profile asan: no compiler here has it")

    with Twin(overread(), missing, (tmp_path,), tmp_path / "private") as twin:
        assert list(followed(twin, 1)) == []
        assert twin.words() == "no sanitizer twin: profile asan: no compiler here has it"
    with Twin(replace(overread(), kind=TargetKind.PROGRAM), missing, (tmp_path,), tmp_path / "private") as twin:
        assert list(followed(twin, 1)) == [] and "only a harness" in twin.words()


@pytest.mark.needs("gcc")
def test_its_findings_are_the_campaigns_and_come_back_with_their_own_build(cache: Path, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "peek").write_bytes(b"PEEKabc")
    target = replace(overread(), seeds=str(seeds))

    def search(target: Target, results: Path) -> campaign.Summary:
        job = Job(
            target=target,
            build=build(target, compiler="gcc", cache=cache, allow_unguarded=True),
            results=results,
            runs=2000,
            options={"twin": lambda: sanitized(target, cache, "gcc")},
        )
        with Store(results / "findings.db") as store:
            return campaign.run(load("fuzz"), job, store, progress=Progress())

    (finding,) = search(target, tmp_path / "results").findings
    assert finding.detection.kind == "asan-heap-buffer-overflow" and finding.confirmed == (3, 3)
    kept = read(Path(finding.reproducer))
    assert kept.profile is Profile.ASAN and kept.payload.startswith(b"PEEK")
    assert search(replace(target, cflags=("-DFIXED",)), tmp_path / "fixed").findings == ()
