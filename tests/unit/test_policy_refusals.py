"""What a policy may not say, and that each refusal names its place and its remedy."""

import tomllib
from pathlib import Path

import pytest

from firedamp.errors import PolicyError
from inject.policy import check, parse

TABLES = tomllib.loads((Path(__file__).parents[1] / "policies" / "refused.toml").read_text())
REFUSED = [
    (each["text"], each["line"], each["column"], each["words"]) for t in TABLES.values() for each in t["policies"]
]


@pytest.mark.parametrize(("text", "line", "column", "words"), REFUSED)
def test_a_policy_is_refused_at_the_place_of_its_mistake(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check(parse(text, source="p"))
    assert words in refused.value.message
    assert (refused.value.line, refused.value.column) == (line, column)
    assert str(refused.value).startswith(f"p:{line}:{column}: ")


def test_a_number_of_any_length_is_refused() -> None:
    with pytest.raises(PolicyError, match="is no number of bytes"):
        parse(f"write: true then partial[{'9' * 5000}]")


def test_an_allocation_is_selected_by_its_caller_and_counted() -> None:
    for text in ('malloc: caller "f" then deny', "malloc: deny[enomem] when 3+", "malloc: deny probability 0.5 log"):
        policy = parse(text)
        assert check(policy) == policy
