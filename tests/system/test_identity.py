"""One bug has one name, two bugs have two: the part of the labelled set that behaves alike on every machine."""

from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from firedamp import guards

BENCH = Path(__file__).parents[1] / "bench"
CHOSEN = ("mail", "machine")
INPUTS = slice(None, None, 3)  # the first, the fourth ... : short and long ones, from each caller


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    import identity  # type: ignore[import-not-found]

    return identity


@pytest.mark.slow
@pytest.mark.needs("ptrace", "gcc", "clang")
@pytest.mark.parametrize("harness", CHOSEN)
def test_signatures_are_one_to_one_with_bugs_in_both_compilers_builds(
    identity: ModuleType, harness: str, tmp_path: Path
) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for bug in (bug for bug in identity.recipes.BUGS if bug.harness == harness and bug.name != "RECEIVED"):
        for compiler in identity.COMPILERS:
            made = identity.made(bug, compiler, tmp_path / "cache")
            with identity.Bench(made.target, made, workdir=tmp_path) as bench:
                found = [guards.judge(bench.run_input(data)) for data in bug.inputs()[INPUTS]]
            names[bug.name] |= {said[0].signature(harness) if said else "nothing" for said in found}
    assert all(len(each) == 1 for each in names.values()), names
    assert len(set.union(*names.values())) == len(names), names
