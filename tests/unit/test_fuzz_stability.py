from fuzz.features import parse
from fuzz.stability import share

CONTROL = "2\n0\na\nb\nSTARTED 0 1\nFT 0 8 16 24\nCOV 0 1\nSTARTED 1 1\nFT 1 9 17\nSTARTED 2 5\n"


def test_what_libfuzzer_wrote_is_read_and_a_death_is_no_measurement() -> None:
    assert parse(CONTROL, 4) == [frozenset({8, 16, 24}), frozenset({9, 17}), None]
    assert parse("2\n0\na\nb\n", 2) == []


def test_stability_is_the_share_of_edges_that_came_again() -> None:
    first, second, _ = parse(CONTROL, 4)
    assert share([first, second]) == 2 / 3  # 8 and 9 are one edge, taken a different number of times
    assert share([first, first, None, second]) == 1.0
    assert share([]) is None and share([first]) is None and share([None, None]) is None
