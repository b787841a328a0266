import os
import struct
from collections.abc import Iterator

import pytest

from fuzz.events import HEADER, SIGNATURE, SIGNATURES, SLOT, SLOTS, Events, Kind, Signature

CAPACITY = 16
STRIDE_AT = HEADER.size + SIGNATURES * SIGNATURE.size
SURVIVED_AT = 24
FULL, FILLING = 2, 1


@pytest.fixture
def events() -> Iterator[Events]:
    created = Events.create(CAPACITY)
    with created.memory:
        yield created


def told(events: Events, index: int, *, state: int = FULL, slot: int = 0, data: bytes = b"abc", size: int = 3) -> None:
    """As the C runtime writes it."""
    entry = SIGNATURE.pack(1 + index, Kind.ABORT, 0, 0x10, 0x20, 0, 5, 0)
    os.pwrite(events.memory.fd, entry, HEADER.size + index * SIGNATURE.size)
    stride = (events.memory.size_bytes - STRIDE_AT) // SLOTS
    os.pwrite(events.memory.fd, SLOT.pack(state, index, size) + data, STRIDE_AT + slot * stride)


def test_an_input_is_taken_once_and_its_slot_is_free_again(events: Events) -> None:
    told(events, 7, slot=3)
    taken = events.take()
    assert taken is not None
    assert taken.signature == Signature(kind=Kind.ABORT, detail=0, frames=(0x10, 0x20))
    assert (taken.input, taken.index, taken.before) == (b"abc", 7, ())
    assert events.counts() == {taken.signature: 5}
    assert events.take() is None


def test_what_a_dead_process_left_half_written_is_wanted_again(events: Events) -> None:
    told(events, 7, state=FILLING)
    told(events, 8, slot=1)
    events.begin()
    wanted = [os.pread(events.memory.fd, 8, HEADER.size + (index + 1) * SIGNATURE.size - 8) for index in (7, 8)]
    assert [struct.unpack("<Q", word)[0] for word in wanted] == [1, 0]
    taken = events.take()
    assert taken is not None and taken.index == 8
    assert events.take() is None


def test_wild_values_are_survived(events: Events) -> None:
    told(events, 7, size=2**64 - 1)
    taken = events.take()
    assert taken is not None and len(taken.input) == CAPACITY
    os.pwrite(events.memory.fd, b"\xff" * events.memory.size_bytes, 0)  # the target overwrote everything
    assert events.fatal() is None
    assert events.take() is None
    events.begin()
    assert events.take() is None


@pytest.mark.parametrize("fill", [b"\xff", b"\0"])
def test_a_table_that_was_written_over_says_nothing_and_a_new_life_has_a_new_one(events: Events, fill: bytes) -> None:
    os.pwrite(events.memory.fd, struct.pack("<Q", 5), SURVIVED_AT)
    assert events.intact and events.survived == 5
    os.pwrite(events.memory.fd, fill * events.memory.size_bytes, 0)
    assert not events.intact
    assert (events.survived, events.lost, events.unrestored_bytes, events.handled(), events.counts()) == (
        5,
        0,
        0,
        (),
        {},
    )
    events.begin()
    assert events.intact
    assert (events.survived, events.counts(), events.take()) == (5, {}, None)
    told(events, 7)
    assert events.take() is not None
