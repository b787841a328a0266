"""The words of a process that one stack depends on: read in large pieces, remembered to recognise the stack again."""

from collections.abc import Callable

from firedamp.unwind.reader import MASK, Malformed

WINDOW_BYTES = 4096  # read at once: one system call costs more than copying a page
RECALL_LIMIT_BYTES = 65536  # of stack that is compared to recognise one
CALL_BYTES = 7  # the longest call
RED_ZONE_BYTES = 128  # System V ABI for x86-64, 3.2.2: a leaf function may keep data below its stack pointer

ReadMemory = Callable[[int, int], bytes]


class Memory:
    """Words near a stack pointer. `word` raises Malformed for what is not mapped."""

    __slots__ = ("_first", "_piece", "_piece_start", "_read", "start", "words")

    def __init__(self, read: ReadMemory, stack_pointer: int) -> None:
        self._read = _careful(read)
        self.start = max(0, stack_pointer - RED_ZONE_BYTES)
        self.words: dict[int, int] | None = {}  # what was read; None when it cannot be compared at once
        self._piece_start = self.start
        self._piece = self._read(self.start, WINDOW_BYTES)
        if not self._piece:  # the page below the stack pointer may be missing
            self._piece_start = self.start = stack_pointer
            self._piece = self._read(stack_pointer, WINDOW_BYTES)

    def word(self, address: int) -> int:
        offset = address - self._piece_start
        if not 0 <= offset <= len(self._piece) - 8:
            self._piece_start = address
            self._piece = self._read(address, WINDOW_BYTES)
            offset = 0
            if len(self._piece) < 8:
                self.words = None
                raise Malformed("memory that is not mapped")
        value = int.from_bytes(self._piece[offset : offset + 8], "little")
        if self.words is not None:
            self.words[address] = value
            if not 0 <= address - self.start <= RECALL_LIMIT_BYTES - 8:
                self.words = None
        return value

    def part(self, address: int, size: int) -> int:
        """Up to eight bytes as a number, for expressions."""
        if size == 8:
            return self.word(address)
        if not 0 < size < 8:
            raise Malformed("size of a word")
        self.words = None
        data = self._read(address, size)
        if len(data) < size:
            raise Malformed("memory that is not mapped")
        return int.from_bytes(data, "little") & MASK

    def code(self, address: int, size: int, *, of_file: bool = False) -> bytes:
        """Instructions; short where there are none. What depends on them is not compared afterwards, unless they are
        as fixed as the file that they come from."""
        if not of_file:
            self.words = None
        return self._read(address, size) if address >= 0 else b""


def _careful(read: ReadMemory) -> ReadMemory:
    def careful(address: int, size: int) -> bytes:
        try:
            return read(address, size)
        except (OSError, OverflowError, ValueError):
            return b""

    return careful


def is_behind_call(code: bytes) -> bool:
    """Whether these bytes end with a call: E8 and a distance, or FF /2 with any operand (Intel SDM, volume 2, CALL)."""
    if code[-5:-4] == b"\xe8":
        return True
    return any(_is_indirect_call(code[-size:]) for size in (2, 3, 4, 6, 7) if len(code) >= size)


def _is_indirect_call(code: bytes) -> bool:
    if code[0] != 0xFF or code[1] >> 3 & 7 != 2:
        return False
    mode, operand = code[1] >> 6, code[1] & 7
    size = 2 + (0, 1, 4, 0)[mode]
    if mode != 3 and operand == 4:  # a SIB byte follows
        size += 5 if mode == 0 and len(code) > 2 and code[2] & 7 == 5 else 1
    elif mode == 0 and operand == 5:  # relative to rip
        size += 4
    return size == len(code)
