from pathlib import Path

import pytest

from fuzz.structure import COST, cost


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("1 0.000300 0.000301", "mutator m:f: was asked; the search ended too soon to say what that costs"),
        ("5000 0.500000 2.000000", "mutator m:f: 5,000 mutations; executions/s were 0.75 of what they are without it"),
        ("no numbers", None),
    ],
)
def test_a_cost_is_said_once_it_was_measured(tmp_path: Path, told: str, words: str | None) -> None:
    (tmp_path / COST).write_text(told)
    assert cost(tmp_path, "m:f") == words
