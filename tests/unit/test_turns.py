"""Time for several targets: nobody starves, and who shows new behaviour gets more."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from firedamp.schedule import FLOOR, Schedule, turn_s


def spend(schedule: Schedule, rates: dict[str, float], turns: int) -> Counter[str]:
    had: Counter[str] = Counter()
    for _ in range(turns):
        name = schedule.next(rates)
        had[name] += 1
        schedule.spent(name, 1.0, rates[name])
    return had


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=6))
def test_everybody_gets_the_floor_and_shares_add_up(rates: list[float]) -> None:
    names = tuple(f"t{n}" for n in range(len(rates)))
    schedule = Schedule(names)
    turns = 60 * len(names)
    had = spend(schedule, dict(zip(names, rates, strict=True)), turns)
    assert abs(sum(map(schedule.share, names)) - 1) < 1e-9
    for name in names:
        assert had[name] >= int(FLOOR / len(names) * turns * 0.8)


def test_who_shows_more_gets_more_and_who_dries_up_gets_less() -> None:
    schedule = Schedule(("dry", "rich"))
    had = spend(schedule, {"dry": 0.0, "rich": 10.0}, 80)
    assert had["rich"] > 3 * had["dry"] > 0
    had = spend(schedule, {"dry": 10.0, "rich": 0.0}, 80)
    assert had["dry"] > 2 * had["rich"] > 0


def test_the_first_round_is_everybodys_and_equals_share_alike() -> None:
    schedule = Schedule(("a", "b", "c"))
    assert spend(schedule, {"a": 0, "b": 0, "c": 0}, 3) == {"a": 1, "b": 1, "c": 1}
    assert spend(schedule, {"a": 2, "b": 2, "c": 2}, 30) == {"a": 10, "b": 10, "c": 10}


def test_who_is_done_is_passed_over() -> None:
    schedule = Schedule(("a", "b"))
    schedule.spent("b", 10.0, 5)
    assert schedule.next({"b"}) == "b"


def test_turns_are_neither_too_short_nor_too_long() -> None:
    assert [turn_s(budget, 3) for budget in (None, 10.0, 240.0, 86400.0)] == [30.0, 2.0, 10.0, 30.0]
