"""What was detected in a fuzzing process and outlives it: signatures with their counts, and inputs to look at.

The layout is firedamp/runtime/events.h's. The supervisor creates the memory as a memfd and frees its slots; the
child's C runtime writes. A target may overwrite all of it: whatever stands there is read within bounds, never trusted.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from signal import Signals

from fuzz import history
from fuzz.shared_memory import COUNT_LIMIT, SharedMemory

MAGIC = 0x3153544E45564546  # "FEVENTS1" read as bytes
FRAMES, SIGNATURES, SLOTS = 3, 1024, 64
HEADER = struct.Struct("<9Q")
SIGNATURE = struct.Struct(f"<QII{FRAMES}QQQ")
SLOT = struct.Struct("<3Q")
WORD_BYTES = 8
_SURVIVED, _UNSPOOLED, _UNTABLED, _FATAL, _HANDLED, _UNRESTORED = range(3 * WORD_BYTES, HEADER.size, WORD_BYTES)
_FREE, _FILLING, _FULL = range(3)


class Kind(IntEnum):
    """enum firedamp_kind of firedamp/runtime/detect.h."""

    SIGNAL = 1
    STACK_SMASH = 2
    FORTIFY = 3
    FORMAT = 4
    ASSERT = 5
    ABORT = 6
    EXIT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What tells two detections apart in process. Only a fresh process says what they are."""

    kind: int
    detail: int
    frames: tuple[int, ...]  # offsets in the library, the innermost first


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """One detection whose input was kept."""

    signature: Signature
    index: int  # of the signature in the table
    input: bytes
    before: tuple[bytes, ...]  # inputs of the life that may have led to it, oldest first


class Events:
    """What stands in `memory`; `create` makes it for inputs up to `max_len` bytes.

    Where it is not `intact`, it says nothing but the count that was believed last, and the next life begins with a
    new table.
    """

    def __init__(self, memory: SharedMemory, capacity: int) -> None:
        self.memory = memory
        self._capacity = capacity
        self._past_bytes = history.size_for(capacity)
        self._believed = 0  # detections survived

    @classmethod
    def create(cls, max_len: int) -> "Events":
        capacity = max(max_len, 1)
        size_bytes = (
            HEADER.size + SIGNATURES * SIGNATURE.size + SLOTS * (_past_offset(capacity) + history.size_for(capacity))
        )
        events = cls(SharedMemory.create("events", size_bytes), capacity)
        events._write_header()
        return events

    @property
    def intact(self) -> bool:
        magic, capacity, past_bytes, survived, *_ = HEADER.unpack_from(self.memory.map)
        sound = (magic, capacity, past_bytes) == (MAGIC, self._capacity, self._past_bytes)
        return sound and self._believed <= survived < COUNT_LIMIT

    def begin(self) -> None:
        """Between two lives: what a dead process left half written is wanted again."""
        if not self.intact:
            self._write_header()
            self._empty()
        self.memory.put_word(_FATAL, 0)
        for slot in map(self._slot, range(SLOTS)):
            state, index, _ = SLOT.unpack_from(self.memory.map, slot)
            if state == _FILLING and index < SIGNATURES:
                self.want(index)
            if state != _FULL:
                self.memory.put_word(slot, _FREE)

    @property
    def survived(self) -> int:
        """Detections, over all lives."""
        if self.intact:
            self._believed = self.memory.word(_SURVIVED)
        return self._believed

    @property
    def lost(self) -> int:
        """Detections that could not be told in full: no slot for the input, or no place for the signature."""
        return self.memory.word(_UNSPOOLED) + self.memory.word(_UNTABLED) if self.intact else 0

    @property
    def unrestored_bytes(self) -> int:
        """Of global variables that are too many to be put back after each detection."""
        return self.memory.word(_UNRESTORED) if self.intact else 0

    def handled(self) -> tuple[str, ...]:
        """Signals for which the target has put its own handler in the place of ours."""
        mask = self.memory.word(_HANDLED) if self.intact else 0
        return tuple(number.name for number in Signals if mask >> number & 1)

    def counts(self) -> dict[Signature, int]:
        found = (self._signature(index) for index in range(SIGNATURES if self.intact else 0))
        return {each[0]: each[1] for each in found if each is not None}

    def fatal(self) -> Signature | None:
        """Of the detection that ended the life, where there was one."""
        found = self._signature(self.memory.word(_FATAL) - 1) if self.intact else None
        return found[0] if found else None

    def want(self, index: int) -> None:
        """Have the next input of this signature kept as well."""
        self.memory.put_word(HEADER.size + (index + 1) * SIGNATURE.size - WORD_BYTES, 1)  # its last word

    def take(self) -> Survived | None:
        """The next input that somebody should look at; its slot is free again."""
        for slot in range(SLOTS if self.intact else 0):
            start = self._slot(slot)
            state, index, size = SLOT.unpack_from(self.memory.map, start)
            if state != _FULL:
                continue
            start_of_input = start + SLOT.size
            data = self.memory.map[start_of_input : start_of_input + min(size, self._capacity)]
            past = start + _past_offset(self._capacity)
            before = history.read(self.memory.map[past : past + self._past_bytes])[:-1]
            self.memory.put_word(start, _FREE)
            if (found := self._signature(index)) is not None:
                return Survived(signature=found[0], index=index, input=data, before=before)
        return None

    def _write_header(self) -> None:
        HEADER.pack_into(self.memory.map, 0, MAGIC, self._capacity, self._past_bytes, self._believed, 0, 0, 0, 0, 0)

    def _empty(self) -> None:
        self.memory.map[HEADER.size : self._slot(0)] = bytes(SIGNATURES * SIGNATURE.size)
        for slot in map(self._slot, range(SLOTS)):
            self.memory.put_word(slot, _FREE)

    def _signature(self, index: int) -> tuple[Signature, int] | None:
        if not 0 <= index < SIGNATURES:
            return None
        key, kind, detail, *frames, count, _ = SIGNATURE.unpack_from(
            self.memory.map, HEADER.size + index * SIGNATURE.size
        )
        return (Signature(kind=kind, detail=detail, frames=tuple(filter(None, frames))), count) if key else None

    def _slot(self, index: int) -> int:
        return HEADER.size + SIGNATURES * SIGNATURE.size + index * (_past_offset(self._capacity) + self._past_bytes)


def _past_offset(capacity: int) -> int:
    """Where the history lies in a slot."""
    return (SLOT.size + capacity + 7) & ~7
