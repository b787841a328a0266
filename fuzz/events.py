"""What was detected in a fuzzing process and outlives it: signatures with their counts, and inputs to look at.

The layout is firedamp/runtime/events.h's. The supervisor creates the memory as a memfd and frees its slots; the
child's C runtime writes. A target may overwrite all of it: whatever stands there is read within bounds, never trusted.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from signal import Signals

from fuzz import history

MAGIC = 0x3153544E45564546  # "FEVENTS1" read as bytes
FRAMES, SIGNATURES, SLOTS = 3, 1024, 64
HEADER = struct.Struct("<9Q")
SIGNATURE = struct.Struct(f"<QII{FRAMES}QQQ")
SLOT = struct.Struct("<3Q")
_WORD = struct.Struct("<Q")
_SURVIVED, _UNSPOOLED, _UNTABLED, _FATAL, _HANDLED, _UNRESTORED = range(24, HEADER.size, 8)
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
    """The memory behind the memfd `fd`; `create` makes it for inputs up to `max_len` bytes."""

    def __init__(self, fd: int, size_bytes: int, capacity: int) -> None:
        self.fd = fd
        self.size_bytes = size_bytes
        self._capacity = capacity
        self._past_bytes = history.size_for(capacity)
        self._memory = mmap.mmap(fd, size_bytes)

    @classmethod
    def create(cls, max_len: int) -> "Events":
        capacity = max(max_len, 1)
        size_bytes = (
            HEADER.size + SIGNATURES * SIGNATURE.size + SLOTS * (_past_offset(capacity) + history.size_for(capacity))
        )
        fd = os.memfd_create("firedamp-events", os.MFD_CLOEXEC)
        os.ftruncate(fd, size_bytes)  # pages that are never written cost nothing
        events = cls(fd, size_bytes, capacity)
        _WORD.pack_into(events._memory, 0, MAGIC)
        _WORD.pack_into(events._memory, 8, capacity)
        _WORD.pack_into(events._memory, 16, history.size_for(capacity))
        return events

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

    def begin(self) -> None:
        """Between two lives: what a dead process left half written is wanted again."""
        self._put(_FATAL, 0)
        for slot in map(self._slot, range(SLOTS)):
            state, index, _ = SLOT.unpack_from(self._memory, slot)
            if state == _FILLING and index < SIGNATURES:
                self.want(index)
            if state != _FULL:
                self._put(slot, _FREE)

    @property
    def survived(self) -> int:
        """Detections, over all lives."""
        return self._word(_SURVIVED)

    @property
    def lost(self) -> int:
        """Detections that could not be told in full: no slot for the input, or no place for the signature."""
        return self._word(_UNSPOOLED) + self._word(_UNTABLED)

    @property
    def unrestored_bytes(self) -> int:
        """Of global variables that are too many to be put back after each detection."""
        return self._word(_UNRESTORED)

    def handled(self) -> tuple[str, ...]:
        """Signals for which the target has put its own handler in the place of ours."""
        mask = self._word(_HANDLED)
        return tuple(number.name for number in Signals if mask >> number & 1)

    def counts(self) -> dict[Signature, int]:
        found = (self._signature(index) for index in range(SIGNATURES))
        return {each[0]: each[1] for each in found if each is not None}

    def fatal(self) -> Signature | None:
        """Of the detection that ended the life, where there was one."""
        found = self._signature(self._word(_FATAL) - 1)
        return found[0] if found else None

    def want(self, index: int) -> None:
        """Have the next input of this signature kept as well."""
        self._put(HEADER.size + (index + 1) * SIGNATURE.size - _WORD.size, 1)  # its last word

    def take(self) -> Survived | None:
        """The next input that somebody should look at; its slot is free again."""
        for slot in range(SLOTS):
            start = self._slot(slot)
            state, index, size = SLOT.unpack_from(self._memory, start)
            if state != _FULL:
                continue
            start_of_input = start + SLOT.size
            data = self._memory[start_of_input : start_of_input + min(size, self._capacity)]
            past = start + _past_offset(self._capacity)
            before = history.read(self._memory[past : past + self._past_bytes])[:-1]
            self._put(start, _FREE)
            if (found := self._signature(index)) is not None:
                return Survived(signature=found[0], index=index, input=data, before=before)
        return None

    def _signature(self, index: int) -> tuple[Signature, int] | None:
        if not 0 <= index < SIGNATURES:
            return None
        key, kind, detail, *frames, count, _ = SIGNATURE.unpack_from(self._memory, HEADER.size + index * SIGNATURE.size)
        return (Signature(kind=kind, detail=detail, frames=tuple(filter(None, frames))), count) if key else None

    def _slot(self, index: int) -> int:
        return HEADER.size + SIGNATURES * SIGNATURE.size + index * (_past_offset(self._capacity) + self._past_bytes)

    def _word(self, offset: int) -> int:
        return int(_WORD.unpack_from(self._memory, offset)[0])

    def _put(self, offset: int, value: int) -> None:
        _WORD.pack_into(self._memory, offset, value)


def _past_offset(capacity: int) -> int:
    """Where the history lies in a slot."""
    return (SLOT.size + capacity + 7) & ~7
