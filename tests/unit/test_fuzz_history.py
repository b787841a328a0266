import random
from collections.abc import Iterator

import pytest

from fuzz.history import HEADER, LEAST_BYTES, SLOTS, History


@pytest.fixture
def history() -> Iterator[History]:
    created = History.create(4096)
    with created.memory:
        yield created


def test_the_latest_are_there_in_order_and_whole(history: History) -> None:
    chance = random.Random(1)
    given = [chance.randbytes(chance.choice((0, 1, 17, 4096))) for _ in range(3 * SLOTS)]
    for count, data in enumerate(given, 1):
        history.append(data)
        if count % 97 == 0:
            kept = history.read()
            assert list(kept) == given[count - len(kept) : count]
            assert len(kept) == min(count, SLOTS) or sum(map(len, kept)) > LEAST_BYTES - 2 * 4096


def test_a_new_life_has_no_past(history: History) -> None:
    history.append(b"before")
    history.clear()
    assert history.read() == ()


def test_whatever_a_target_writes_there_is_read_without_harm(history: History) -> None:
    chance = random.Random(2)
    for data in (b"one", b"two"):
        history.append(data)
    for _ in range(200):
        words = [chance.choice((0, 1, 2, 2**64 - 1, chance.getrandbits(64))) for _ in range(3)]
        HEADER.pack_into(history.memory.map, 0, *words)
        history.read()
