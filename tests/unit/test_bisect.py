"""The search for a change: it is among what is left, alone where everything could be told, and soon."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedamp.bisect import EndsAlike, Line, find_old_end, search

LINES = st.integers(2, 60).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(1, size - 1), st.sets(st.integers(1, max(1, size - 2))))
)


@given(LINES)
def test_the_change_is_among_what_is_left_and_alone_where_all_could_be_told(line: tuple[int, int, set[int]]) -> None:
    size, change, dark = line
    dark -= {0, size - 1}
    asked: list[int] = []

    def ask(index: int) -> bool | None:
        asked.append(index)
        return None if index in dark else index >= change

    left = search(Line(ask=ask), 0, size - 1)
    assert change in left and len(set(asked)) == len(asked)
    assert set(left) - {max(left)} <= dark
    if not dark:
        assert left == (change,) and len(asked) <= 2 + math.ceil(math.log2(size))


@given(st.integers(1, 60), st.integers(0, 60))
def test_the_old_end_is_found_going_back_in_growing_steps(newest: int, change: int) -> None:
    line = Line(ask=lambda index: index >= change)
    old = find_old_end(line, newest)
    assert (old is None) == (change == 0)
    assert old is None or old < max(change, newest)
    assert len(line.known) <= 2 + math.ceil(math.log2(newest + 1))


@pytest.mark.parametrize(("states", "index"), [((False, False), 1), ((True, True), 0), ((None, True), 0)])
def test_ends_that_are_not_what_they_should_be_are_named(states: tuple[bool | None, ...], index: int) -> None:
    with pytest.raises(EndsAlike) as raised:
        search(Line(ask=lambda number: states[number]), 0, 1)
    assert (raised.value.index, raised.value.state) == (index, states[index])
