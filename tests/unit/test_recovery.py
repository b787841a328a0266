"""Which lines only faults reach: from counts made by hand."""

from pathlib import Path

from inject.coverage.gcov import Line, find
from inject.coverage.recovery import Range, reached_earlier, recovery, text, write


def counted(function: str, *counts: int, first: int = 1) -> tuple[Line, ...]:
    return tuple(
        Line(file="/src/a.c", number=first + at, function=function, count=count) for at, count in enumerate(counts)
    )


def test_lines_are_told_apart_by_who_reached_them() -> None:
    clean = counted("main", 1, 1, 0, 0, 0, 1) + counted("unused", 0, 0, first=10)
    faulted = counted("main", 9, 9, 2, 1, 0, 9) + counted("unused", 0, 0, first=10)
    found = recovery(clean, faulted)
    assert found.only_under_faults == (Range(file="/src/a.c", first=3, last=4, function="main"),)
    assert found.never == (Range(file="/src/a.c", first=5, last=5, function="main"),)
    assert found.not_entered == (Range(file="/src/a.c", first=10, last=11, function="unused"),)
    assert found.lines == {"only_under_faults": 2, "never": 1, "not_entered": 2}
    assert found.summary.endswith("only under faults: 2, never, even so, in functions that were entered: 1")


def test_a_function_that_only_a_fault_enters_is_reached_in_part() -> None:
    found = recovery(counted("clean_up", 0, 0), counted("clean_up", 3, 0))
    assert [each.first for each in found.only_under_faults] == [1] and [each.first for each in found.never] == [2]


def test_benches_are_added_up_and_a_source_that_is_gone_is_named_all_the_same(tmp_path: Path) -> None:
    one, other = counted("main", 0, 2), counted("main", 4, 0)
    found = recovery(counted("main", 0, 0), (*one, *other))
    assert found.lines == {"only_under_faults": 2, "never": 0, "not_entered": 0}
    assert "  /src/a.c:1-2 main" in list(text(found))
    assert "/src/a.c:1-2 main" in write(found, tmp_path).read_text()


def test_what_runs_that_are_taken_over_reached_is_reached(tmp_path: Path) -> None:
    first = recovery(counted("main", 1, 0, 0), counted("main", 0, 4, 0))
    write(first, tmp_path)
    then = recovery(counted("main", 1, 0, 0), counted("main", 0, 0, 0), reached_earlier(tmp_path))
    assert then == first
    (tmp_path / "recovery.json").write_text("{")
    assert reached_earlier(tmp_path) == ()


def test_a_program_without_an_instrument_has_none(tmp_path: Path) -> None:
    assert find("/bin/true") is None and find(str(tmp_path / "missing")) is None
    (tmp_path / "text").write_text("#!/bin/sh\n")
    assert find(str(tmp_path / "text")) is None
