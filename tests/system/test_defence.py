"""The defence matrix: what each build makes of one input, by real runs."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from firedamp.building.build import build
from firedamp.defence import BY_GUARD, Cell, Verdict, lines, matrix
from firedamp.engine import load
from firedamp.guards import GUARDS
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.target import Build, Profile, Target, TargetKind
from fuzz.engine import FuzzEngine

TARGETS = Path(__file__).parents[1] / "targets" / "canary"
COUNTING = bytes(range(0x80, 0x80 + 40))
pytestmark = [pytest.mark.needs("gcc"), pytest.mark.needs("ptrace")]
Matrix = Callable[..., dict[str, Cell]]


class CountingEngine(FuzzEngine):
    """The real one, which remembers how often it was asked."""

    replays = 0

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        self.replays += 1
        return super().replay(reproducer, build)


def reproducer(source: str, *cflags: str, data: bytes = COUNTING) -> Reproducer:
    target = Target(name="d", kind=TargetKind.HARNESS, root=TARGETS, sources=(source,), cflags=cflags)
    return Reproducer(engine="fuzz", target=target, payload=data)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    builds = tmp_path_factory.mktemp("builds")

    def run(case: Reproducer, engine: FuzzEngine | None = None, cache: Path | None = None) -> dict[str, Cell]:
        def build_of(profile: Profile) -> Build:
            return build(case.target, profile, compiler="gcc", cache=builds, allow_unguarded=True)

        cells = matrix(engine or load("fuzz"), case, build_of, times=1, cache=cache)
        return {cell.profile: cell for cell in cells}

    return run


def test_a_smash_is_stopped_by_two_defences_and_hijacks_without(seen: Matrix) -> None:
    cells = seen(reproducer("detail.c"))
    assert (cells["hardened"].verdict, cells["hardened"].by) == (Verdict.STOPPED, "stack canary")
    assert cells["asan"].verdict is Verdict.STOPPED and cells["asan"].by in ("AddressSanitizer", "UBSan")
    assert (cells["plain"].verdict, cells["plain"].by) == (Verdict.HIJACKED, None)
    assert "the input chose the address" in cells["plain"].says


def test_what_only_the_sanitizer_sees_is_silent_damage_elsewhere(seen: Matrix) -> None:
    cells = seen(reproducer("slack.c"))
    assert cells["asan"].by == "AddressSanitizer" and cells["asan"].damage
    assert cells["hardened"].verdict is cells["plain"].verdict is Verdict.SILENT
    assert "the asan build" in cells["plain"].says


def test_without_a_mistake_every_build_goes_on_to_its_end(seen: Matrix) -> None:
    cells = seen(reproducer("slack.c", "-DFIXED"))
    assert {cell.verdict for cell in cells.values()} == {Verdict.CLEAN}
    assert all("exited with 0" in line for line in lines(tuple(cells.values())))


def test_a_build_that_cannot_be_made_says_why_and_nobody_knows_of_damage(seen: Matrix) -> None:
    cells = seen(reproducer("slack.c", "-DUNSANITIZED"))
    assert cells["asan"].verdict is Verdict.UNBUILT and "does not compile" in cells["asan"].says
    assert cells["plain"].verdict is Verdict.CLEAN


def test_the_same_builds_and_input_are_not_run_again(seen: Matrix, tmp_path: Path) -> None:
    engine, cache = CountingEngine(), tmp_path / "defences.json"
    first = seen(reproducer("slack.c"), engine, cache)
    assert engine.replays == 3
    assert seen(reproducer("slack.c"), engine, cache) == first and engine.replays == 3
    seen(reproducer("slack.c", data=b"another"), engine, cache)
    assert engine.replays == 6
    cache.write_text("{half")
    assert seen(reproducer("slack.c"), engine, cache) == first and engine.replays == 9


def test_every_defence_is_some_guards() -> None:
    assert BY_GUARD.keys() <= {guard.name for guard in GUARDS}


def test_every_field_is_documented() -> None:
    documented = re.findall(r"`(\w+)`", (Path(__file__).parents[2] / "docs" / "json.md").read_text())
    assert {field.name for field in fields(Cell)} | {"defences", "cells"} <= set(documented)
    assert {verdict.value for verdict in Verdict} <= set(documented)
