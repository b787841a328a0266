import pytest

from firedamp.plural import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 inputs"), (1, "1 input"), (2, "2 inputs"), (1024, "1,024 inputs")]
)
def test_one_thing_is_not_several(number: int, words: str) -> None:
    assert counted(number, "input") == words
