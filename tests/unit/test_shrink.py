"""The shrinker's promises: never larger, still true, the same each time; and it does shrink."""

import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from firedamp.shrink import Budget, shortlex, shrink

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
    def slow(value: bytes) -> bool:
        time.sleep(0.02)
        return len(value) > 10

    started = time.monotonic()
    shrink(bytes(range(256)) * 8, slow, Budget(calls=10_000, seconds=0.2))
    assert time.monotonic() - started < 2


def test_stopping_ends_it_before_the_first_call() -> None:
    assert shrink(b"abc", lambda value: True, Budget(stopping=lambda: True)) == b"abc"
