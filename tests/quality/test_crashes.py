"""The labelled set is what it says: large enough, and the same bytes each time."""

import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

CRASHES = Path(__file__).parent / "crashes"
BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(CRASHES)
    import recipes  # type: ignore[import-not-found]

    return recipes


def test_it_is_large_and_deep_enough(recipes: ModuleType) -> None:
    bugs = recipes.BUGS
    names = {bug.name for bug in bugs}
    assert len(bugs) == len(names) >= 30 and recipes.INPUTS >= 10
    assert 3 * sum(bug.gated for bug in bugs) >= len(bugs)
    assert len(recipes.PAIRS) >= 5 and all({*pair} <= names for pair in recipes.PAIRS)
    assert Counter(bug.harness for bug in bugs).keys() == {path.stem for path in CRASHES.glob("*.c")}


def test_its_inputs_are_the_same_bytes_each_time_and_all_different(recipes: ModuleType) -> None:
    assert recipes.digests() == json.loads(recipes.MANIFEST.read_text())
    for bug in recipes.BUGS:
        assert len(set(bug.inputs())) == recipes.INPUTS, bug.name
