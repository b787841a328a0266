"""Memory that a process and its child share, and that outlives either of them. Knows nothing of what lies in it."""

import mmap
import os
import struct
from types import TracebackType
from typing import Self

COUNT_LIMIT = 1 << 48  # years of executions: who counted so many was overwritten
_WORD = struct.Struct("<Q")


class SharedMemory:
    """Context manager over the memfd `fd` of `size_bytes`, mapped as `map`; `create` makes one, full of zeros."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.fd = fd
        self.size_bytes = size_bytes
        self.map = mmap.mmap(fd, size_bytes)

    @classmethod
    def create(cls, name: str, size_bytes: int) -> Self:
        """`name` is for /proc/PID/maps. Pages that are never written cost nothing."""
        fd = os.memfd_create(f"firedamp-{name}", os.MFD_CLOEXEC)
        os.ftruncate(fd, size_bytes)
        return cls(fd, size_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.map.close()
        os.close(self.fd)

    def word(self, offset: int) -> int:
        return int(_WORD.unpack_from(self.map, offset)[0])

    def put_word(self, offset: int, value: int) -> None:
        _WORD.pack_into(self.map, offset, value)
