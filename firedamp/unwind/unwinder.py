"""From the registers of a stopped thread to its frames."""

import os
from collections.abc import Callable, Hashable, Iterator
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import assert_never

from firedamp.outcome import Frame
from firedamp.unwind.cfi import RETURN_ADDRESS, STACK_POINTER, How, Row
from firedamp.unwind.expression import evaluate
from firedamp.unwind.maps import Mapping, Maps
from firedamp.unwind.memory import CALL_BYTES, Memory, is_behind_call
from firedamp.unwind.reader import MASK, Malformed

STACK_LIMIT = 64
RECALL_LIMIT = 4096  # stacks that are remembered per process, or per program of one scope
MOST_ALIKE = 8  # stacks that one instruction shows at one depth, as each fclose of a program does
FRAME_LIMIT = 65536  # interned frames
LOWEST = 65536  # of mapped addresses (vm.mmap_min_addr); the start of ld.so has argc where callers have an address
FRAME_POINTER = 6  # rbp: System V ABI for x86-64, figure 3.36
SIGRETURN = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"  # mov $__NR_rt_sigreturn, %rax; syscall
# of struct sigcontext (asm/sigcontext.h), which lies 40 bytes into ucontext: r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip
SIGCONTEXT_OFFSET = 40
SIGCONTEXT_REGISTERS = (8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16)

Read = Callable[[int, int], bytes]
Base = tuple[int, int | None, int | None]  # stack pointer, rbp, canonical frame address (DWARF 5, 6.4)
Registers = Dictionary[int, int]


@dataclass(frozen=True, slots=True)
class Recalled:
    """A stack, and all that it depends on: some registers, and the masked words of one piece of memory."""

    registers: tuple[tuple[int, int], ...]
    start: int
    size: int
    mask: int
    words: int
    frames: tuple[Frame, ...]


Stacks = dict[tuple[int, int, int], tuple[Recalled, ...]]  # by instruction, stack pointer and limit; the newest first


class Unwinder:
    """Stacks of any number of processes; what it learns of files is kept.

    `registers` have the numbers of the System V ABI for x86-64, figure 3.36 (0 rax, 1 rdx, 2 rcx, 3 rbx, 4 rsi, 5 rdi,
    6 rbp, 7 rsp, 8-15, 16 rip). `read(address, size)` answers short at the end of a mapping and empty outside of one.
    """

    def __init__(self) -> None:
        self._maps: dict[int, Maps] = {}
        self._recalled: dict[int, Stacks] = {}
        self._frames: dict[tuple[str, int], Frame] = {}
        self._scope: Hashable = None
        self._programs: dict[Hashable, Stacks] = {}  # of that scope
        self._shared = False

    def begin(self, scope: Hashable) -> None:
        """A run begins. All runs of one scope have the same files at the same addresses (personality(2),
        ADDR_NO_RANDOMIZE), so a stack that one of them showed is known in the next; None: every run has its own."""
        self._shared = scope is not None
        if self._shared and scope != self._scope:
            self._scope = scope
            self._programs.clear()

    def forget(self, pid: int) -> None:
        """The process ended, ran execve(2), or unmapped a library."""
        self._maps.pop(pid, None)
        self._recalled.pop(pid, None)

    def inherit(self, pid: int, copy_pid: int) -> None:
        """`copy_pid` was forked from `pid`: what is remembered of one is true of the other, and checked at each use."""
        if pid in self._recalled:
            self._recalled[copy_pid] = self._recalled[pid]
        if pid in self._maps:
            self._maps[copy_pid] = self._maps[pid]

    def stack(self, pid: int, registers: Registers, read: Read, limit: int = STACK_LIMIT) -> tuple[Frame, ...]:
        """Up to `limit` frames, innermost first. Never raises, and stops where the stack makes no sense."""
        recalled = self._recalled.get(pid)
        if recalled is None:
            recalled = self._recalled[pid] = self._known_stacks(pid)
        key = registers[RETURN_ADDRESS], registers[STACK_POINTER], limit
        alike = recalled.get(key, ())
        for known in alike:
            if _holds(known, registers, read):
                return known.frames
        walk = _Walk(self._maps_of(pid, registers[RETURN_ADDRESS], read), registers, read)
        frames = tuple(self._frame(*place) for place in walk.places(limit))
        if walk.lost is not None and self._maps_of(pid, walk.lost, read).find(walk.lost) is not None:
            walk = _Walk(self._maps[pid], registers, read)
            frames = tuple(self._frame(*place) for place in walk.places(limit))
        if walk.memory.words and walk.lost is None:
            if len(recalled) >= RECALL_LIMIT:
                recalled.clear()
            recalled[key] = (_remember(walk, registers, frames), *alike[: MOST_ALIKE - 1])
        return frames

    def bases(self, pid: int, registers: Registers, read: Read, limit: int) -> tuple[Base, ...]:
        """Where the frames of `stack` lie in memory."""
        walk = _Walk(self._maps_of(pid, registers[RETURN_ADDRESS], read), registers, read)
        return walk.bases(limit)

    def _known_stacks(self, pid: int) -> Stacks:
        if not self._shared:
            return {}
        try:
            name, file = os.readlink(f"/proc/{pid}/exe"), os.stat(f"/proc/{pid}/exe")  # noqa: PTH115, PTH116
        except OSError:
            return {}
        return self._programs.setdefault((name, file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size), {})

    def _maps_of(self, pid: int, address: int, read: Read) -> Maps:
        """Read again when the thread is where nothing was: a library may have been loaded since."""
        maps = self._maps.get(pid)
        if maps is None or maps.find(address) is None:
            maps = self._maps[pid] = Maps(pid, read)
        return maps

    def _frame(self, module: str, offset: int, own: bool) -> Frame:
        frame = self._frames.get((module, offset))
        if frame is None:
            if len(self._frames) >= FRAME_LIMIT:
                self._frames.clear()
            frame = self._frames[module, offset] = Frame(module=module, offset=offset, own=own)
        return frame


def _remember(walk: "_Walk", registers: Registers, frames: tuple[Frame, ...]) -> Recalled:
    start, words = walk.memory.start, walk.memory.words or {}
    size = max(words) + 8 - start
    mask, content = bytearray(size), bytearray(size)
    for address, value in words.items():
        offset = address - start
        mask[offset : offset + 8] = b"\xff" * 8
        content[offset : offset + 8] = value.to_bytes(8, "little")
    used = tuple((register, registers[register]) for register in walk.used)
    return Recalled(used, start, size, int.from_bytes(mask, "little"), int.from_bytes(content, "little"), frames)


def _holds(known: Recalled, registers: Registers, read: Read) -> bool:
    for register, value in known.registers:
        if registers[register] != value:
            return False
    data = read(known.start, known.size)
    return len(data) == known.size and int.from_bytes(data, "little") & known.mask == known.words


class _Walk:
    """One walk from the innermost frame outwards.

    A register is a value, or the address where a function saved it; it is read when a rule asks for it, so that
    `memory.words` and `used` end up with what the stack really depends on.
    """

    def __init__(self, maps: Maps, registers: Registers, read: Read) -> None:
        self.memory = Memory(read, registers[STACK_POINTER])
        self.used: set[int] = {RETURN_ADDRESS, STACK_POINTER}
        self._maps = maps
        self._registers = registers
        self._saved: dict[int, int] = {}
        self._values: dict[int, int | None] = {}  # None: nobody knows it any more
        self.lost: int | None = None  # a return address where nothing was mapped: a library may have come since

    def places(self, limit: int) -> Iterator[tuple[str, int, bool]]:
        """(module, ELF virtual address, own) of each frame."""
        address: int | None = self._registers[RETURN_ADDRESS]
        exact = True  # where a thread was stopped or interrupted; else a return address, one behind the call
        for _ in range(limit):
            if address is None:
                return
            mapping = self._maps.find(address if exact else address - 1)
            if mapping is None:
                if not exact:
                    self.lost = address - 1 if address > LOWEST else None
                    return
                yield "[anon]", address, False
                address, exact = self._leave_leaf(), False
                continue
            virtual = (address + mapping.bias) & MASK
            row = mapping.image.row(virtual if exact else virtual - 1) if mapping.image is not None else None
            signal_frame = row.signal_frame if row is not None else self._is_sigreturn(address, mapping)
            yield mapping.module, virtual if exact or signal_frame else virtual - 1, mapping.own
            if row is not None:
                address = self._leave(row, address)
            elif signal_frame:
                address = self._leave_signal()
            else:
                address = self._leave_leaf() if exact else None
            exact = signal_frame

    def bases(self, limit: int) -> tuple[Base, ...]:
        """Of each frame of `places`; a frame whose return address is overwritten still has all three."""
        seen: list[tuple[int, int | None]] = [
            (self._register(STACK_POINTER), self._find_register(FRAME_POINTER)) for _ in self.places(limit)
        ]
        ends: list[int | None] = [*(pointer for pointer, _ in seen[1:]), self._find_register(STACK_POINTER)]
        return tuple(
            (pointer, frame, end if end is not None and end > pointer else None)
            for (pointer, frame), end in zip(seen, ends, strict=True)
        )

    def _find_register(self, number: int) -> int | None:
        try:
            return self._register(number)
        except Malformed:
            return None

    def _register(self, number: int) -> int:
        value = self._values.get(number, -1)
        if value is None:
            raise Malformed("a register that nobody knows")
        if value != -1:
            return value
        if number in self._saved:
            value = self._values[number] = self.memory.word(self._saved[number])
            return value
        if number not in self._registers:
            raise Malformed("a register that nobody knows")
        self.used.add(number)
        return self._registers[number]

    def _leave(self, row: Row, address: int) -> int | None:
        """Make the registers those of the caller; returns the address there, None at the outermost frame."""
        try:
            self._values[RETURN_ADDRESS] = address
            if row.cfa_expression:
                cfa = evaluate(row.cfa_expression, self._register, self.memory.part)
            else:
                cfa = (self._register(row.cfa_register) + row.cfa_offset) & MASK
            if cfa <= self._register(STACK_POINTER) and not row.signal_frame:
                return None  # a stack grows down: this one is corrupt
            self._apply(row, cfa)
            return self._register(RETURN_ADDRESS)
        except Malformed:
            return None

    def _apply(self, row: Row, cfa: int) -> None:
        """All rules at once: none of them sees what another one did."""
        places: list[tuple[int, int]] = []
        values: list[tuple[int, int | None]] = [(RETURN_ADDRESS, None), (STACK_POINTER, cfa)]
        for register, (how, offset, code) in row.rules:
            match how:
                case How.OFFSET:
                    places.append((register, (cfa + offset) & MASK))
                case How.EXPRESSION:
                    places.append((register, evaluate(code, self._register, self.memory.part, (cfa,))))
                case How.VALUE_EXPRESSION:
                    values.append((register, evaluate(code, self._register, self.memory.part, (cfa,))))
                case How.VALUE_OFFSET:
                    values.append((register, (cfa + offset) & MASK))
                case How.REGISTER:
                    values.append((register, self._register(offset)))
                case How.UNDEFINED:
                    values.append((register, None))
                case _:
                    assert_never(how)
        self._values.update(values)
        for register, place in places:
            self._saved[register] = place
            self._values.pop(register, None)

    def _is_sigreturn(self, address: int, mapping: Mapping) -> bool:
        """The return from a signal handler in a libc that has no call frame information for it (musl)."""
        return self.memory.code(address, len(SIGRETURN), of_file=mapping.image is not None) == SIGRETURN

    def _leave_signal(self) -> int | None:
        try:
            context = self._register(STACK_POINTER) + SIGCONTEXT_OFFSET
            for index, register in enumerate(SIGCONTEXT_REGISTERS):
                self._saved[register] = context + 8 * index
                self._values.pop(register, None)
            return self._register(RETURN_ADDRESS)
        except Malformed:
            return None

    def _leave_leaf(self) -> int | None:
        """Code that nothing is known of, or a jump to nowhere: a call leaves its place on top of the stack."""
        try:
            stack_pointer = self._register(STACK_POINTER)
            address = self.memory.word(stack_pointer)
        except Malformed:
            return None
        if self._maps.find(address) is None or not is_behind_call(self.memory.code(address - CALL_BYTES, CALL_BYTES)):
            return None
        self._values[STACK_POINTER] = stack_pointer + 8
        return address
