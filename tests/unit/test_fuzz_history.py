import random
import struct
from collections.abc import Iterator

import pytest

from fuzz.history import BYTES_AT, HEADER, LEAST_BYTES, SLOT, SLOTS, History


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


@pytest.mark.parametrize("reach", [2**64, 2 * LEAST_BYTES, 512], ids=["anywhere", "near", "nearly right"])
def test_whatever_a_target_writes_there_is_read_without_harm(history: History, reach: int) -> None:
    memory = history.memory.map
    chance = random.Random(2)
    memory[BYTES_AT:] = content = chance.randbytes(LEAST_BYTES)
    longest = 0
    for _ in range(200):
        inputs, head = (chance.choice((0, 1, 2, 2**64 - 1, chance.randrange(2**64))) for _ in range(2))
        HEADER.pack_into(memory, 0, inputs, head, chance.randrange(2**64))
        words = (chance.choice((head - chance.randrange(reach), chance.randrange(reach))) for _ in range(2 * SLOTS))
        memory[HEADER.size : BYTES_AT] = struct.pack(f"<{2 * SLOTS}Q", *(word % 2**64 for word in words))
        kept = history.read()
        assert len(kept) <= SLOTS
        assert sum(map(len, kept)) <= LEAST_BYTES
        assert all(data in content for data in kept)
        longest = max(longest, len(kept))
    assert longest > 0 or reach == 2**64  # some of it could be taken for inputs


def test_inputs_that_overlap_are_not_read(history: History) -> None:
    """Else a target gone wild could have a thousand times the memory read."""
    HEADER.pack_into(history.memory.map, 0, SLOTS, LEAST_BYTES, LEAST_BYTES)
    for number in range(SLOTS):
        SLOT.pack_into(history.memory.map, HEADER.size + number * SLOT.size, 0, LEAST_BYTES)
    assert list(map(len, history.read())) == [LEAST_BYTES]
