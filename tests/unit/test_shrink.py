"""The shrinker's promises: never larger, still true, the same each time; and it does shrink."""

import re
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from firedamp.shrink import Budget, shortlex, shrink, shrink_rules

PREDICATES: list[Callable[[bytes], bool]] = [
    lambda value: True,
    lambda value: len(value) >= 3,
    lambda value: b"\xff" in value,
    lambda value: sum(value) % 7 == 3,
    lambda value: value.count(b"A") >= 2 and len(value) % 2 == 0,
]


@given(st.binary(max_size=60), st.sampled_from(PREDICATES))
def test_never_larger_still_true_and_the_same_each_time(value: bytes, predicate: Callable[[bytes], bool]) -> None:
    if not predicate(value):
        return
    result = shrink(value, predicate, Budget(seconds=60))
    assert predicate(result)
    assert shortlex(result) <= shortlex(value)
    assert shrink(value, predicate, Budget(seconds=60)) == result


@given(st.binary(min_size=0, max_size=30), st.binary(max_size=30))
def test_a_magic_word_is_all_that_remains(before: bytes, after: bytes) -> None:
    assert shrink(before + b"MAGIC" + after, lambda value: b"MAGIC" in value, Budget(seconds=60)) == b"MAGIC"


def test_lengths_shrink_to_the_threshold_and_bytes_to_zero() -> None:
    assert shrink(b"x" * 40_000, lambda value: len(value) > 17, Budget(seconds=60)) == bytes(18)


def test_the_budget_of_calls_is_kept_and_what_was_won_is_kept() -> None:
    asked: list[bytes] = []

    def predicate(value: bytes) -> bool:
        asked.append(value)
        return len(value) > 10

    result = shrink(b"y" * 1000, predicate, Budget(calls=5, seconds=60))
    assert len(asked) == 5
    assert 10 < len(result) < 1000


def test_the_budget_of_seconds_is_kept() -> None:
    asked = []

    def slow(value: bytes) -> bool:
        asked.append(value)
        time.sleep(0.02)
        return len(value) > 10

    shrink(bytes(range(256)) * 8, slow, Budget(calls=10_000, seconds=0.2))
    assert 1 <= len(asked) <= 11


def test_stopping_ends_it_before_the_first_call() -> None:
    assert shrink(b"abc", lambda value: True, Budget(stopping=lambda: True)) == b"abc"


HEADER = b"# firedamp policy 1\n# what it is for\n"
RULE_PREDICATES: list[Callable[[set[int]], bool]] = [
    lambda kept: True,
    lambda kept: {1, 4} <= kept,
    lambda kept: len(kept) >= 3,
    lambda kept: len(kept) % 2 == 1,  # not monotone
    lambda kept: 0 in kept or {2, 3} <= kept,
]


def policy(rules: list[int], lasting: set[int]) -> bytes:
    lines = [f'write: fd eq "{number}" then deny[eio] when {number + 1}{"+" * (number in lasting)}' for number in rules]
    return HEADER + "".join(f"{line}\n# rule\n" for line in lines).encode()


def numbers(text: bytes) -> set[int]:
    return {int(number) for number in re.findall(rb'fd eq "(\d+)"', text)}


@given(
    st.lists(st.integers(0, 6), unique=True, min_size=1),
    st.sampled_from(RULE_PREDICATES),
    st.sets(st.integers(0, 6)),
    st.sets(st.integers(0, 6)),
)
def test_no_rule_can_be_left_out_of_what_remains(
    rules: list[int], predicate: Callable[[set[int]], bool], lasting: set[int], must_last: set[int]
) -> None:
    def holds(text: bytes) -> bool:
        lasts = {int(number) - 1 for number in re.findall(rb"when (\d+)\+", text)}
        return predicate(numbers(text)) and must_last & lasting & numbers(text) <= lasts

    given_policy = policy(rules, lasting)
    if not holds(given_policy):
        return
    result = shrink_rules(given_policy, holds, Budget(seconds=60))
    kept = numbers(result)
    assert holds(result) and kept <= set(rules) and result.startswith(HEADER)
    assert result.count(b"# rule\n") == len(rules)  # comments stay
    for number in kept if len(kept) > 1 else ():
        without = b"".join(line for line in result.splitlines(True) if f'"{number}"'.encode() not in line)
        assert not holds(without)
    lasts = {int(number) - 1 for number in re.findall(rb"when (\d+)\+", result)}
    assert lasts == kept & lasting & must_last
    assert shrink_rules(given_policy, holds, Budget(seconds=60)) == result


def test_a_block_and_a_line_that_goes_on_are_one_rule() -> None:
    block = b'child "/bin/sh" {\n  execve: true then deny[eacces]\n}\n'
    long = b'read: path match "/a" \\\n  then deny[eio]\n'
    asked: list[bytes] = []

    def holds(text: bytes) -> bool:
        asked.append(text)
        return long in text

    assert shrink_rules(block + long + b"fsync: true then deny[eio]\n", holds, Budget(seconds=60)) == long
    assert all(text.count(b"{") == text.count(b"}") and text.count(b"read:") == text.count(b"\\\n") for text in asked)
