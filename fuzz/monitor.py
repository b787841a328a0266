"""The block of memory that outlives a fuzzing process: the current input, and how many there were.

The layout is firedamp/runtime/monitor.h's: five 64-bit words (magic, executions, inside, size, capacity), then the
bytes. The supervisor creates it as a memfd; the child's C runtime writes it, or, for targets that Python drives,
this class does.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from types import TracebackType

HEADER = struct.Struct("<5Q")
_WORD = struct.Struct("<Q")
_EXECUTIONS, _INSIDE, _SIZE = 8, 16, 24
MAGIC = 0x31504D4144524946  # "FIRDAMP1" read as bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    executions: int
    inside: bool  # the target has been entered and has not returned
    input: bytes


class Monitor:
    """Context manager over the memfd `fd` of `size_bytes`; `create` makes one for inputs up to `max_len` bytes."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.fd = fd
        self.size_bytes = size_bytes
        self.capacity = size_bytes - HEADER.size
        self._memory = mmap.mmap(fd, size_bytes)

    @classmethod
    def create(cls, max_len: int) -> "Monitor":
        size_bytes = HEADER.size + max(max_len, 1)
        fd = os.memfd_create("firedamp-monitor", os.MFD_CLOEXEC)
        os.ftruncate(fd, size_bytes)
        monitor = cls(fd, size_bytes)
        HEADER.pack_into(monitor._memory, 0, MAGIC, 0, 0, 0, monitor.capacity)
        return monitor

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

    @property
    def executions(self) -> int:
        return int(_WORD.unpack_from(self._memory, _EXECUTIONS)[0])

    def read(self) -> Reading:
        _, executions, inside, size, _ = HEADER.unpack_from(self._memory)
        kept = min(size, self.capacity)  # a wild write of the target may have hit the header
        return Reading(executions=executions, inside=bool(inside), input=self._memory[HEADER.size : HEADER.size + kept])

    def enter(self, data: bytes) -> None:
        """Count one execution and keep its input, before the target sees it."""
        kept = data[: self.capacity]
        self._memory[HEADER.size : HEADER.size + len(kept)] = kept
        self._put(_SIZE, len(kept))
        self._put(_EXECUTIONS, self.executions + 1)
        self._put(_INSIDE, 1)

    def leave(self) -> None:
        self._put(_INSIDE, 0)

    def _put(self, offset: int, value: int) -> None:
        _WORD.pack_into(self._memory, offset, value)
