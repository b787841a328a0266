"""The latest inputs of one life, in memory that outlives it: what led to a death that its input alone does not bring.

The layout is firedamp/runtime/history.h's: three 64-bit words (inputs, position, capacity), slots of two words each
(position, size), then the bytes. What is read was in reach of a target gone wild, so nothing in it is trusted.
"""

import mmap
import os
import struct
from types import TracebackType

HEADER = struct.Struct("<3Q")
SLOTS = 1024  # FIREDAMP_HISTORY_SLOTS
_SLOT = struct.Struct("<2Q")
_BYTES_AT = HEADER.size + SLOTS * _SLOT.size
LEAST_BYTES = 1 << 18  # all slots at 256 bytes each, and still in the second cache


class History:
    """Context manager over the memfd `fd` of `size_bytes`; `create` makes one for inputs up to `max_len` bytes."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.fd = fd
        self.size_bytes = size_bytes
        self._memory = mmap.mmap(fd, size_bytes)

    @classmethod
    def create(cls, max_len: int) -> "History":
        size_bytes = size_for(max_len)
        fd = os.memfd_create("firedamp-history", os.MFD_CLOEXEC)
        os.ftruncate(fd, size_bytes)
        history = cls(fd, size_bytes)
        history.clear()
        return history

    def __enter__(self) -> "History":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

    def clear(self) -> None:
        """A new life has no past."""
        HEADER.pack_into(self._memory, 0, 0, 0, self.size_bytes - _BYTES_AT)

    def append(self, data: bytes) -> None:
        """As firedamp_remember does, for targets that Python drives."""
        inputs, position, capacity = HEADER.unpack_from(self._memory)
        if len(data) > capacity:
            return
        if position % capacity + len(data) > capacity:
            position += capacity - position % capacity
        start = _BYTES_AT + position % capacity
        self._memory[start : start + len(data)] = data
        _SLOT.pack_into(self._memory, HEADER.size + inputs % SLOTS * _SLOT.size, position, len(data))
        HEADER.pack_into(self._memory, 0, inputs + 1, position + len(data), capacity)

    def read(self) -> tuple[bytes, ...]:
        """As many inputs as are still whole, oldest first, the one under way last."""
        return read(self._memory)


def size_for(max_len: int) -> int:
    """Bytes of a block for inputs up to `max_len` bytes, a multiple of 8."""
    return _BYTES_AT + (max(LEAST_BYTES, 4 * max_len) + 7 & ~7)


def read(memory: mmap.mmap | bytes) -> tuple[bytes, ...]:
    """Of a whole block: as many inputs as are still whole, oldest first."""
    inputs, head, _ = HEADER.unpack_from(memory)
    capacity = len(memory) - _BYTES_AT
    found: list[bytes] = []
    for number in range(inputs - 1, max(-1, inputs - 1 - SLOTS), -1):
        position, size = _SLOT.unpack_from(memory, HEADER.size + number % SLOTS * _SLOT.size)
        start = position % capacity
        if position + size > head or head - position > capacity or start + size > capacity:
            break  # overwritten by later ones, or by the target
        found.append(memory[_BYTES_AT + start : _BYTES_AT + start + size])
    return tuple(reversed(found))
