"""Mutators and strategies in Python lead where bytes alone do not; what they cost and what is wrong in them is said."""

from pathlib import Path

import pytest

import fuzz
from firedamp.building.build import build
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError
from firedamp.target import Profile, Target, TargetKind

pytestmark = [pytest.mark.needs("clang"), pytest.mark.needs("ptrace")]

# A sum over all bytes that no comparison shows the way to.
HARNESS = """
#include <stdint.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  volatile unsigned wrong = size != 40;
  for (size_t i = 0; i < size; i++) wrong |= data[i] ^ (uint8_t)(i * 7 + 1);
  if (!wrong) abort();
  return 0;
}
"""
MUTATORS = """
import itertools
import time
from hypothesis import strategies as st

calls = itertools.count()

def linger(value: bytes) -> bytes:
    if next(calls) == 50:
        time.sleep(0.5)  # long enough to be measured
    return value

RIGHT = bytes((i * 7 + 1) % 256 for i in range(40))

def right(data: bytes, max_size: int, seed: int) -> bytes:
    return linger(RIGHT if max_size >= len(RIGHT) and seed % 64 == 0 else data)

def broken(data: bytes, max_size: int, seed: int) -> bytes:
    raise RuntimeError("no such grammar")

def text(data: bytes, max_size: int, seed: int) -> str:
    return "text"

values = st.sampled_from([b"a", b"b", RIGHT]).map(linger)
numbers = st.integers()
"""


def search(tmp_path: Path, **keys: str) -> tuple[Attempt | None, Progress]:
    (tmp_path / "harness.c").write_text(HARNESS)
    (tmp_path / "mine.py").write_text(MUTATORS)
    target = Target(
        name="t", kind=TargetKind.HARNESS, root=tmp_path, sources=("harness.c",), max_len=64, mutate_one_in=4, **keys
    )
    made = build(target, Profile.HARDENED, compiler="clang", cache=tmp_path / "cache", allow_unguarded=True)
    progress = Progress()
    job = Job(target=target, build=made, results=tmp_path / "results", runs=30_000, time_s=250.0, seed=1)
    found = list(fuzz.ENGINE.search(job, progress))
    return (found[0] if found else None), progress


@pytest.mark.parametrize("keys", [{"mutator": "mine:right"}, {"strategy": "mine:values"}], ids=["mutator", "strategy"])
def test_it_leads_to_the_crash_and_its_cost_is_said(keys: dict[str, str], tmp_path: Path) -> None:
    attempt, progress = search(tmp_path, **keys)
    assert attempt is not None
    assert len(attempt.reproducer.payload) == 40
    name = next(iter(keys.values()))
    assert any(note.startswith(f"mutator {name}: ") and "executions/s were 0." in note for note in progress.notes)


def test_without_it_nothing_is_found(tmp_path: Path) -> None:
    attempt, progress = search(tmp_path)
    assert attempt is None
    assert not any("mutator" in note for note in progress.notes)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"mutator": "mine:broken"}, "no such grammar"),
        ({"mutator": "mine:text"}, "returned str; bytes are needed"),
        ({"strategy": "mine:numbers"}, "returned int; bytes are needed"),
        ({"mutator": "mine:right", "strategy": "mine:values"}, "leave one of them out"),
        ({"mutator": "mine:absent"}, "mine:absent"),
    ],
)
def test_what_is_wrong_in_it_is_the_users(keys: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        search(tmp_path, **keys)
