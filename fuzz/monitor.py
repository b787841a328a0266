"""The block of memory that outlives a fuzzing process: the current input, and how many there were.

The layout is firedamp/runtime/monitor.h's: five 64-bit words (magic, executions, inside, size, capacity), then the
bytes. The supervisor creates it as a memfd; the child's C runtime writes it, or, for targets that Python drives,
this class does.
"""

import struct
from dataclasses import dataclass

from fuzz.shared_memory import SharedMemory

HEADER = struct.Struct("<5Q")
_EXECUTIONS, _INSIDE, _SIZE = 8, 16, 24
MAGIC = 0x31504D4144524946  # "FIRDAMP1" read as bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    executions: int
    inside: bool  # the target has been entered and has not returned
    input: bytes


class Monitor:
    """What stands in `memory`; `create` makes one for inputs up to `max_len` bytes."""

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self.capacity = memory.size_bytes - HEADER.size

    @classmethod
    def create(cls, max_len: int) -> "Monitor":
        monitor = cls(SharedMemory.create("monitor", HEADER.size + max(max_len, 1)))
        HEADER.pack_into(monitor.memory.map, 0, MAGIC, 0, 0, 0, monitor.capacity)
        return monitor

    @property
    def executions(self) -> int:
        return self.memory.word(_EXECUTIONS)

    def read(self) -> Reading:
        _, executions, inside, size, _ = HEADER.unpack_from(self.memory.map)
        kept = min(size, self.capacity)  # a wild write of the target may have hit the header
        data = self.memory.map[HEADER.size : HEADER.size + kept]
        return Reading(executions=executions, inside=bool(inside), input=data)

    def enter(self, data: bytes) -> None:
        """Count one execution and keep its input, before the target sees it."""
        kept = data[: self.capacity]
        self.memory.map[HEADER.size : HEADER.size + len(kept)] = kept
        self.memory.put_word(_SIZE, len(kept))
        self.memory.put_word(_EXECUTIONS, self.executions + 1)
        self.memory.put_word(_INSIDE, 1)

    def leave(self) -> None:
        self.memory.put_word(_INSIDE, 0)
