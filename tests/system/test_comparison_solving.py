"""What a target compares with its input is read from the comparison and put there: no guessing."""

from pathlib import Path

import pytest

import fuzz
import fuzz.search
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.target import Profile, Target, TargetKind

pytestmark = pytest.mark.needs("ptrace")
TARGETS = Path(__file__).parents[1] / "targets"
RUNS = 300_000  # at most 125,000 were ever needed, of ten seeds; by chance alone 2^31 and more are


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def first_death(
    root: Path,
    source: str,
    results: Path,
    cache: Path,
    *,
    compiler: str = "clang",
    cflags: tuple[str, ...] = (),
    runs: int = RUNS,
    progress: Progress | None = None,
) -> Attempt | None:
    target = Target(name="t", kind=TargetKind.HARNESS, root=root, sources=(source,), cflags=cflags, max_len=512)
    made = build(target, Profile.HARDENED, compiler=compiler, cache=cache, allow_unguarded=True)
    job = Job(target=target, build=made, results=results, runs=runs, time_s=250.0, seed=1)
    return next(iter(fuzz.ENGINE.search(job, progress or Progress())), None)


@pytest.mark.needs("clang")
@pytest.mark.parametrize(
    ("case", "inside"),
    [
        ("TWO_WORDS", bytes.fromhex("78563412cafef00d")),
        ("CHECKSUM", bytes.fromhex("8877665544332211")),
        ("STRING", b"correct horse battery"),
        ("LOOP", b"own-loop-magic"),
        ("DECIMAL", b"1234567"),
        ("NEGATIVE", (-1234567890123).to_bytes(8, "little", signed=True)),
    ],
)
def test_a_comparison_is_solved(case: str, inside: bytes, tmp_path: Path, cache: Path) -> None:
    attempt = first_death(TARGETS, "solver.c", tmp_path, cache, cflags=(f"-DCASE={case}",))
    assert attempt is not None
    assert inside in attempt.reproducer.payload


@pytest.mark.needs("clang")
@pytest.mark.parametrize("case", ["SWITCH", "LENGTH"])
def test_a_switch_and_a_length_are_solved(case: str, tmp_path: Path, cache: Path) -> None:
    assert first_death(TARGETS, "solver.c", tmp_path, cache, cflags=(f"-DCASE={case}",)) is not None


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("case", ["CHECKSUM", "STRING"])
def test_so_it_is_with_gcc(case: str, tmp_path: Path, cache: Path) -> None:
    assert first_death(TARGETS, "solver.c", tmp_path, cache, compiler="gcc", cflags=(f"-DCASE={case}",)) is not None


MUTATING = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile unsigned sum = 0;
  for (size_t i = 0; i < size; i++) sum = sum * 31 + (uint8_t)(data[i] ^ (i * i));
  if (size == 100 && sum == 0) abort();
  return 0;
}
%s
"""
MUTATOR = """
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
  if (seed % 8 || room < 100) return LLVMFuzzerMutate(data, size, room);
  for (size_t i = 0; i < 100; i++) data[i] = (uint8_t)(i * i);
  return 100;
}
"""
CROSSING = """
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *to,
                                 size_t room, unsigned seed) {
  if (room < 100) return 0;
  for (size_t i = 0; i < 100; i++) to[i] = (uint8_t)(i * i);
  return 100;
}
"""


@pytest.mark.needs("clang")
@pytest.mark.parametrize(
    ("own", "lethal"), [(MUTATOR, True), (CROSSING, True), ("", False)], ids=["custom", "cross", "none"]
)
def test_mutators_of_the_targets_own_are_called(own: str, lethal: bool, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "mutating.c").write_text(MUTATING % own)
    attempt = first_death(tmp_path, "mutating.c", tmp_path / "results", cache, runs=200_000)
    assert (attempt is not None) is lethal


STUCK = """
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
  static volatile unsigned calls;
  while (++calls == 1000) calls--;
  return LLVMFuzzerMutate(data, size, room);
}
"""


@pytest.mark.needs("clang")
def test_a_mutator_that_does_not_return_costs_a_life(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz.search, "IDLE_S", 0.3)
    (tmp_path / "stuck.c").write_text(MUTATING % STUCK)
    progress = Progress()
    assert first_death(tmp_path, "stuck.c", tmp_path / "results", cache, runs=2500, progress=progress) is None
    assert progress.executions >= 2500
    assert any("ran nothing" in note for note in progress.notes)
