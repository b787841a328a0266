"""The block of memory that outlives a fuzzing process: the current input, and how many there were.

The layout is firedamp/runtime/monitor.h's: five 64-bit words (magic, executions, inside, size, capacity), then the
bytes. The supervisor creates it as a memfd; the child's C runtime writes it, or, for targets that Python drives,
this class does.
"""

import struct
from dataclasses import dataclass

from fuzz.shared_memory import COUNT_LIMIT, SharedMemory

HEADER = struct.Struct("<5Q")
_EXECUTIONS, _INSIDE, _SIZE = 8, 16, 24
MAGIC = 0x31504D4144455246  # "FREDAMP1" read as bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    executions: int
    inside: bool  # the target has been entered and has not returned
    input: bytes


class Monitor:
    """What stands in `memory`; `create` makes one for inputs up to `max_len` bytes.

    A target may write over it: what is not plausible is not believed, and `mend` brings the last that was back.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self.capacity = memory.size_bytes - HEADER.size
        self._believed = 0  # executions

    @classmethod
    def create(cls, max_len: int) -> "Monitor":
        monitor = cls(SharedMemory.create("monitor", HEADER.size + max(max_len, 1)))
        HEADER.pack_into(monitor.memory.map, 0, MAGIC, 0, 0, 0, monitor.capacity)
        return monitor

    @property
    def intact(self) -> bool:
        magic, executions, _, _, capacity = HEADER.unpack_from(self.memory.map)
        return (magic, capacity) == (MAGIC, self.capacity) and self._believed <= executions < COUNT_LIMIT

    @property
    def executions(self) -> int:
        if self.intact:
            self._believed = self.memory.word(_EXECUTIONS)
        return self._believed

    def mend(self) -> None:
        """Between two lives."""
        if not self.intact:
            HEADER.pack_into(self.memory.map, 0, MAGIC, self._believed, 0, 0, self.capacity)

    def read(self) -> Reading:
        """Of a block that is not intact: no input."""
        executions = self.executions
        if not self.intact:
            return Reading(executions=executions, inside=False, input=b"")
        _, _, inside, size, _ = HEADER.unpack_from(self.memory.map)
        data = self.memory.map[HEADER.size : HEADER.size + min(size, self.capacity)]
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
