"""The latest inputs of one life, in memory that outlives it: what led to a death that its input alone does not bring.

The layout is firedamp/runtime/history.h's: three 64-bit words (inputs, position, capacity), slots of two words each
(position, size), then the bytes. What is read was in reach of a target gone wild, so nothing in it is trusted.
"""

import mmap
import struct

from fuzz.shared_memory import SharedMemory

HEADER = struct.Struct("<3Q")
SLOTS = 1024  # FIREDAMP_HISTORYSLOTS
SLOT = struct.Struct("<2Q")
BYTES_AT = HEADER.size + SLOTS * SLOT.size
LEAST_BYTES = 1 << 18  # all slots at 256 bytes each, and still in the second cache


class History:
    """What stands in `memory`; `create` makes one for inputs up to `max_len` bytes."""

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory

    @classmethod
    def create(cls, max_len: int) -> "History":
        history = cls(SharedMemory.create("history", size_for(max_len)))
        history.clear()
        return history

    def clear(self) -> None:
        """A new life has no past."""
        HEADER.pack_into(self.memory.map, 0, 0, 0, self.memory.size_bytes - BYTES_AT)

    def append(self, data: bytes) -> None:
        """As firedamp_remember does, for targets that Python drives."""
        inputs, position, capacity = HEADER.unpack_from(self.memory.map)
        if len(data) > capacity:
            return
        if position % capacity + len(data) > capacity:
            position += capacity - position % capacity
        start = BYTES_AT + position % capacity
        self.memory.map[start : start + len(data)] = data
        SLOT.pack_into(self.memory.map, HEADER.size + inputs % SLOTS * SLOT.size, position, len(data))
        HEADER.pack_into(self.memory.map, 0, inputs + 1, position + len(data), capacity)

    def read(self) -> tuple[bytes, ...]:
        """As many inputs as are still whole, oldest first, the one under way last."""
        return read(self.memory.map)


def size_for(max_len: int) -> int:
    """Bytes of a block for inputs up to `max_len` bytes, a multiple of 8."""
    return BYTES_AT + (max(LEAST_BYTES, 4 * max_len) + 7 & ~7)


def read(memory: mmap.mmap | bytes) -> tuple[bytes, ...]:
    """Of a whole block: as many inputs as are still whole, oldest first."""
    inputs, head, _ = HEADER.unpack_from(memory)
    capacity = len(memory) - BYTES_AT
    end = head
    found: list[bytes] = []
    for number in range(inputs - 1, max(-1, inputs - 1 - SLOTS), -1):
        position, size = SLOT.unpack_from(memory, HEADER.size + number % SLOTS * SLOT.size)
        start = position % capacity
        if position + size > end or head - position > capacity or start + size > capacity:
            break  # overwritten by later ones, or by the target
        end = position
        found.append(memory[BYTES_AT + start : BYTES_AT + start + size])
    return tuple(reversed(found))
