"""Shrinking ends with the bug it began with, although shorter inputs show others; and it ends small."""

from pathlib import Path
from types import ModuleType

import pytest

from firedamp import guards
from firedamp.building.build import build
from firedamp.run import Bench
from firedamp.shrink import Budget, shrink
from firedamp.target import Profile, Target, TargetKind

# The least that meets the conditions in drift.c: a count of more than 20 bytes, a division behind more than 12.
SMALLEST = {"count": 22, "divide": 14}


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent / "drift")
    import cases  # type: ignore[import-not-found]

    return cases


@pytest.mark.slow
@pytest.mark.needs("ptrace", "gcc")
def test_no_input_becomes_another_bug(cases: ModuleType, tmp_path: Path) -> None:
    root, source = cases.SOURCE.parent, cases.SOURCE.name
    target = Target(name="drift", kind=TargetKind.HARNESS, root=root, sources=(source,))
    made = build(target, Profile.HARDENED, compiler="gcc", cache=tmp_path / "cache")
    room = tmp_path / "room"
    room.mkdir()
    with Bench(target, made, workdir=room) as bench:

        def shown(data: bytes) -> tuple[str, str] | None:
            said = guards.judge(bench.run_input(data))
            return (said[0].kind, said[0].signature("drift")) if said else None

        for case in (case for case in cases.CASES if not case.name.endswith("-long")):
            before = shown(case.data)
            assert before is not None and before[0] == case.kind
            smaller = shrink(case.data, lambda value: shown(value) == before, Budget(calls=150, seconds=60))  # noqa: B023
            assert shown(smaller) == before and len(smaller) < len(case.data)
            assert len(smaller) <= SMALLEST.get(case.name, len(case.data))
