"""Stacks of stopped processes, by call frame information: Debian's binaries keep no frame pointers.

Frames come out raw (module and ELF address); firedamp.symbols names them. A stack that was overwritten simply ends.
"""

import bisect
import functools
import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from firedamp.cfi import CallFrames, Row, Rule, evaluate
from firedamp.outcome import Frame

RSP, RIP = 7, 16  # DWARF numbers (System V ABI for x86-64, figure 3.36)
WORD = 0xFFFF_FFFF_FFFF_FFFF
PAGE = 4096
MODULES_KEPT = 256
DIGEST_DIGITS = 8

# The C runtime: a bug shows there, but is made by whoever called it.
RUNTIME = re.compile(
    r"(libc|ld|ld-linux-x86-64|libpthread|libm|libdl|librt|libgcc_s|libstdc\+\+|libasan|libubsan|liblsan|libtsan|"
    r"libnss_\w+|libresolv|libclang_rt\.[\w-]+|ld-musl-x86_64)([-.][\d.]+)?\.so(\.[\d.]+)?"
)

Read = Callable[[int, int], bytes]


def is_own(module: str) -> bool:
    """Whether a module is the program's own, or a library that is no part of the C runtime."""
    return module.startswith("/") and RUNTIME.fullmatch(module.rsplit("/", 1)[-1]) is None


def site_digest(syscall_name: str, frames: Iterable[Frame]) -> str:
    """Eight hexadecimal digits for one call stack of one system call: equal under ASLR, and on every machine with
    the same binaries."""
    text = "\n".join([syscall_name, *(f"{frame.module.rsplit('/', 1)[-1]}+{frame.offset:x}" for frame in frames)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_DIGITS]


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    executable: bool
    path: str


class _Module:
    """One ELF file, or the vDSO's image."""

    def __init__(self, elf: ELFFile, read: Read) -> None:
        segments = list(elf.iter_segments())
        loads = [segment for segment in segments if segment["p_type"] == "PT_LOAD"]
        self._loads = [(s["p_offset"], s["p_vaddr"], s["p_filesz"]) for s in loads]
        header = next(((s["p_vaddr"], s["p_memsz"]) for s in segments if s["p_type"] == "PT_GNU_EH_FRAME"), None)
        section = None
        if header is None and (found := elf.get_section_by_name(".eh_frame")) is not None:
            section = (found["sh_addr"], found["sh_size"])
        self._file = read
        self.frames = CallFrames(self._read, header, section)

    def address(self, file_offset: int) -> int:
        """ELF virtual address of a byte of the file; segments are mapped by whole pages."""
        for offset, address, size in self._loads:
            if offset & -PAGE <= file_offset < offset + size + PAGE:
                candidate = file_offset - offset + address
                if file_offset < offset + size:
                    return candidate
        return file_offset

    def _read(self, address: int, size: int) -> bytes:
        for offset, start, length in self._loads:
            if start <= address < start + length:
                return self._file(address - start + offset, size)
        return b""


class Unwinder:
    """Keeps what it learns of modules for its lifetime, and the mappings of a process until `forget`."""

    def __init__(self) -> None:
        self._maps: dict[int, list[_Mapping]] = {}

    def forget(self, pid: int) -> None:
        """To be called when the process has executed another program or is gone."""
        self._maps.pop(pid, None)

    def stack(self, pid: int, registers: Mapping[int, int], read: Read, limit: int = 64) -> tuple[Frame, ...]:
        """Innermost first, at most `limit` frames. `registers` by DWARF number; `read` may give fewer bytes.

        Total: damaged stacks and unreadable memory end the walk.
        """
        memory = _Memory(read)
        current = dict(registers)
        frames: list[Frame] = []
        after_signal = True  # the first pc is exact, like one that a signal interrupted; others follow a call
        while len(frames) < limit:
            pc = current[RIP]
            place = self._place(pid, pc if after_signal else pc - 1, memory)
            if place is None:
                caller = self._leaf(pid, current, memory) if not frames else None
                if caller is None:
                    break
                frames.append(Frame(module="[anon]", offset=pc))
                current, after_signal = caller, False
                continue
            mapping, module, address = place
            frames.append(Frame(module=mapping.path, offset=address, own=is_own(mapping.path)))
            row = module.frames.row(address) if module is not None else None
            step = _step(row, current, memory) if row is not None else None
            if step is None and len(frames) == 1:
                step = self._leaf(pid, current, memory)
            if step is None or (step[RIP], step[RSP]) == (pc, current[RSP]):
                break
            current, after_signal = step, row is not None and row.signal_frame
        return tuple(frames)

    def _leaf(self, pid: int, registers: Mapping[int, int], memory: "_Memory") -> dict[int, int] | None:
        """The caller of a pc without call frames (a wild pointer was called): the word on top of the stack, if that
        lies behind a call instruction."""
        target = memory.word(registers[RSP])
        if target is None or self._place(pid, target - 1, memory) is None or not _follows_call(target, memory):
            return None
        return {**registers, RIP: target, RSP: registers[RSP] + 8}

    def _place(self, pid: int, pc: int, memory: "_Memory") -> tuple[_Mapping, "_Module | None", int] | None:
        mapping = self._mapping(pid, pc)
        if mapping is None or not mapping.executable:
            return None
        module = _vdso(memory.read_all(mapping.start, mapping.end)) if mapping.path == "[vdso]" else _load(pid, mapping)
        offset = pc - mapping.start + mapping.offset
        return mapping, module, offset if module is None else module.address(offset)

    def _mapping(self, pid: int, pc: int) -> _Mapping | None:
        """Read again when the pc is nowhere: a library may have been loaded since."""
        for fresh in (False, True):
            if fresh or pid not in self._maps:
                self._maps[pid] = _read_maps(pid)
            maps = self._maps[pid]
            index = bisect.bisect_right(maps, pc, key=lambda each: each.start) - 1
            if index >= 0 and pc < maps[index].end:
                return maps[index]
        return None


class _Memory:
    """Reads by whole pages, for one stopped moment."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self._pages: dict[int, bytes] = {}

    def word(self, address: int) -> int | None:
        data = self.load(address & WORD, 8)
        return struct.unpack("<Q", data)[0] if len(data) == 8 else None

    def load(self, address: int, size: int) -> bytes:
        parts = []
        while size > 0:
            page = address & -PAGE
            if page not in self._pages:
                self._pages[page] = self.read(page, PAGE)
            part = self._pages[page][address - page : address - page + size]
            if not part:
                break
            parts.append(part)
            address += len(part)
            size -= len(part)
        return b"".join(parts)

    def read_all(self, start: int, end: int) -> bytes:
        return self.load(start, end - start)


def _step(row: Row, registers: Mapping[int, int], memory: _Memory) -> dict[int, int] | None:
    """The caller's registers, or None where they cannot be told."""
    if isinstance(row.cfa, bytes):
        cfa = evaluate(row.cfa, registers, memory.word)
    else:
        base = registers.get(row.cfa[0])
        cfa = None if base is None else (base + row.cfa[1]) & WORD
    if cfa is None:
        return None
    caller = {**registers, RSP: cfa}
    for register, (rule, operand) in row.rules.items():
        value = _recover(rule, operand, cfa, registers, memory)
        if value is None and rule is not Rule.SAME:
            if register == row.return_register:
                return None
            caller.pop(register, None)
        elif value is not None:
            caller[register] = value
    if row.return_register not in row.rules:
        return None
    caller[RIP] = caller[row.return_register]
    return caller


def _recover(rule: Rule, operand: int | bytes, cfa: int, registers: Mapping[int, int], memory: _Memory) -> int | None:
    match rule, operand:
        case Rule.OFFSET, int():
            return memory.word(cfa + operand)
        case Rule.VALUE_OFFSET, int():
            return (cfa + operand) & WORD
        case Rule.REGISTER, int():
            return registers.get(operand)
        case Rule.EXPRESSION, bytes():
            address = evaluate(operand, registers, memory.word, cfa)
            return None if address is None else memory.word(address)
        case Rule.VALUE_EXPRESSION, bytes():
            return evaluate(operand, registers, memory.word, cfa)
        case _:
            return None


def _follows_call(address: int, memory: _Memory) -> bool:
    """Whether the bytes before `address` end in a call: E8 rel32, or FF /2 in its lengths (Intel SDM, CALL)."""
    before = memory.load(address - 7, 7)
    if len(before) < 7:
        return False
    indirect = any(before[-size] == 0xFF and (before[-size + 1] >> 3) & 7 == 2 for size in (2, 3, 4, 6, 7))
    return before[-5] == 0xE8 or indirect


def _read_maps(pid: int) -> list[_Mapping]:
    """proc_pid_maps(5); empty for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    maps = []
    for line in lines:
        span, rights, offset, _, _, *path = line.split(maxsplit=5)
        start, _, end = span.partition("-")
        name = path[0] if path else "[anon]"
        maps.append(_Mapping(int(start, 16), int(end, 16), int(offset, 16), "x" in rights, name))
    return maps


def _load(pid: int, mapping: _Mapping) -> _Module | None:
    if not mapping.path.startswith("/"):
        return None
    path = mapping.path
    if path.endswith(" (deleted)"):
        path = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return _open(path, status.st_dev, status.st_ino, status.st_mtime_ns)


@functools.lru_cache(maxsize=MODULES_KEPT)
def _open(path: str, device: int, inode: int, mtime_ns: int) -> _Module | None:
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - kept open as long as the module is known

        def read(offset: int, size: int) -> bytes:
            return os.pread(stream.fileno(), size, offset)

        return _Module(ELFFile(stream), read)
    except (ELFError, OSError, ValueError):
        return None


@functools.lru_cache(maxsize=4)
def _vdso(image: bytes) -> _Module | None:
    """The kernel's own library: its file offsets are its addresses."""
    try:
        return _Module(ELFFile(BytesIO(image)), lambda offset, size: image[offset : offset + size])
    except (ELFError, ValueError):
        return None
