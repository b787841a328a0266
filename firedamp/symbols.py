"""Module + offset -> function, file, line: from an ELF file's symbols and its DWARF line programs.

Frames come in raw and go out named, as far as the file tells; a file that cannot be read names nothing and is no error.
"""

import bisect
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.dwarf.callframe import FDE
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection

from firedamp.outcome import Frame

DEBUG_FOLDER = Path("/usr/lib/debug")
CLONE = re.compile(r"(\.(isra|part|constprop|cold|lto_priv|llvm|localalias)(\.\d+)*)+$")  # gcc's and LLVM's names
FUNCTION_TYPES = frozenset({"STT_FUNC", "STT_GNU_IFUNC", "STT_LOOS"})
BROKEN = (ELFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError, EOFError)
MODULES_KEPT = 64


def resolve(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return tuple(resolve_frame(frame) for frame in frames)


def resolve_frame(frame: Frame) -> Frame:
    """The physical function, and the line of the very address (within an inlined function: that one's line)."""
    module = _module(frame.module)
    if module is None:
        return frame
    start, name = module.function(frame.offset) or (None, None)
    # Nobody looks for a bug in a line of libc, and its debug information takes seconds to read.
    file, line = (module.line(frame.offset) if frame.own else None) or (None, None)
    return replace(
        frame,
        function=name,
        function_offset=None if start is None else frame.offset - start,
        file=file,
        line=line,
    )


def _module(path: str) -> "Module | None":
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return _open(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=MODULES_KEPT)
def _open(path: str, mtime_ns: int, size: int) -> "Module | None":
    try:
        return Module(Path(path))
    except BROKEN:
        return None


@dataclass(frozen=True, slots=True)
class _Symbol:
    start: int
    end: int
    name: str


class Module:
    """One ELF file, opened once. Separate debug files (.build-id, .gnu_debuglink) are used where they are installed."""

    def __init__(self, path: Path) -> None:
        self._elf = ELFFile(path.open("rb"))
        self._debug = _debug_file(self._elf, path) or self._elf
        self._symbols = self._read_symbols()
        self._starts = [symbol.start for symbol in self._symbols]
        self._lines: dict[int, _Lines] = {}

    def function(self, address: int) -> tuple[int, str] | None:
        """Start and name of the function that holds `address`: a symbol's, else that of its unwind entry."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._symbols[index].end:
            symbol = self._symbols[index]
            return symbol.start, CLONE.sub("", symbol.name)
        start = self._entry_start(address)
        return None if start is None else (start, f"sub_{start:x}")

    def line(self, address: int) -> tuple[str, int] | None:
        try:
            return self._find_line(address)
        except BROKEN:
            return None

    def _read_symbols(self) -> list[_Symbol]:
        found: dict[int, _Symbol] = {}
        for elf in (self._elf, self._debug):
            for section in elf.iter_sections():
                if isinstance(section, SymbolTableSection):
                    for symbol in _functions(section):
                        # Of several names for one place the shortest is the plain one: memcpy, not memcpy@@GLIBC_2.14.
                        known = found.get(symbol.start)
                        if known is None or (len(symbol.name), symbol.name) < (len(known.name), known.name):
                            found[symbol.start] = symbol
        return sorted(found.values(), key=lambda symbol: symbol.start)

    def _entry_start(self, address: int) -> int | None:
        """Where the function begins by .eh_frame: stripped files still have that."""
        starts = self._unwind_starts
        index = bisect.bisect_right(starts, (address, 1 << 64)) - 1
        if index >= 0 and starts[index][0] <= address < starts[index][1]:
            return starts[index][0]
        return None

    @functools.cached_property
    def _unwind_starts(self) -> list[tuple[int, int]]:
        try:
            entries = self._elf.get_dwarf_info(relocate_dwarf_sections=False).EH_CFI_entries()
        except BROKEN:
            return []
        return sorted(
            (entry.header["initial_location"], entry.header["initial_location"] + entry.header["address_range"])
            for entry in entries
            if isinstance(entry, FDE)
        )

    @functools.cached_property
    def _dwarf(self) -> DWARFInfo | None:
        return self._debug.get_dwarf_info() if self._debug.has_dwarf_info() else None

    @functools.cached_property
    def _units(self) -> list[tuple[CompileUnit, list[tuple[int, int]]]]:
        assert self._dwarf is not None
        ranges = self._dwarf.range_lists()
        return [(unit, list(_unit_ranges(unit, ranges))) for unit in self._dwarf.iter_CUs()]

    def _find_line(self, address: int) -> tuple[str, int] | None:
        if self._dwarf is None:
            return None
        for unit, spans in self._units:
            if any(low <= address < high for low, high in spans):
                if unit.cu_offset not in self._lines:
                    self._lines[unit.cu_offset] = _Lines(self._dwarf, unit)
                return self._lines[unit.cu_offset].find(address)
        return None


class _Lines:
    """The line program of one compile unit, as a sorted table."""

    def __init__(self, dwarf: DWARFInfo, unit: CompileUnit) -> None:
        self._program = dwarf.line_program_for_CU(unit)
        folder = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
        self._folder = _text(folder.value) if folder is not None else ""
        self._rows = sorted(self._read_rows())
        self._starts = [row[0] for row in self._rows]

    def find(self, address: int) -> tuple[str, int] | None:
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._rows[index][1]:
            return None
        # A compiler writes line 0 for what it made up itself, such as the failing end of a canary's check; what stands
        # before it is the end of the function.
        while index > 0 and not self._rows[index][3] and self._rows[index - 1][1] == self._rows[index][0]:
            index -= 1
        _, _, file, line = self._rows[index]
        return (self._file(file), line) if line else None

    def _read_rows(self) -> Iterator[tuple[int, int, int, int]]:
        previous: Any = None
        for entry in self._program.get_entries() if self._program is not None else ():
            state = entry.state
            if state is None:
                continue
            if previous is not None and previous.address < state.address:
                yield previous.address, state.address, previous.file, previous.line
            previous = None if state.end_sequence else state

    def _file(self, index: int) -> str:
        assert self._program is not None  # rows came from it
        header = self._program.header
        first = 0 if header["version"] >= 5 else 1  # DWARF 5 counts files and folders from 0
        entry = header["file_entry"][index - first]
        folders = [_text(folder) for folder in header["include_directory"]]
        folder = folders[entry.dir_index - first] if entry.dir_index - first >= 0 else ""
        return os.path.normpath(Path(self._folder) / folder / _text(entry.name))


def _functions(section: SymbolTableSection) -> Iterator[_Symbol]:
    for symbol in section.iter_symbols():
        start, size = symbol["st_value"], symbol["st_size"]
        if symbol["st_info"]["type"] in FUNCTION_TYPES and symbol["st_shndx"] != "SHN_UNDEF" and start:
            yield _Symbol(start, start + max(size, 1), symbol.name)


def _unit_ranges(unit: CompileUnit, ranges: Any) -> Iterator[tuple[int, int]]:
    top = unit.get_top_DIE()
    low = top.attributes.get("DW_AT_low_pc")
    high = top.attributes.get("DW_AT_high_pc")
    listed = top.attributes.get("DW_AT_ranges")
    if low is not None and high is not None:
        relative = high.form != "DW_FORM_addr"
        yield low.value, high.value + (low.value if relative else 0)
    elif listed is not None and ranges is not None:
        base = low.value if low is not None else 0
        for entry in ranges.get_range_list_at_offset(listed.value, unit):
            if hasattr(entry, "base_address"):
                base = entry.base_address
            else:
                shift = 0 if entry.is_absolute else base
                yield entry.begin_offset + shift, entry.end_offset + shift


def _debug_file(elf: ELFFile, path: Path) -> ELFFile | None:
    """Where gdb looks, too (GDB manual, Separate Debug Files)."""
    for candidate in _debug_paths(elf, path):
        if candidate.is_file() and candidate != path:
            return ELFFile(candidate.open("rb"))
    return None


def _debug_paths(elf: ELFFile, path: Path) -> Iterator[Path]:
    note = elf.get_section_by_name(".note.gnu.build-id")
    if isinstance(note, NoteSection):
        for entry in note.iter_notes():
            digest = str(entry["n_desc"])
            yield DEBUG_FOLDER / ".build-id" / digest[:2] / f"{digest[2:]}.debug"
    link = elf.get_section_by_name(".gnu_debuglink")
    if link is not None:
        name = link.data().split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        yield from (
            path.parent / name,
            path.parent / ".debug" / name,
            DEBUG_FOLDER / path.parent.relative_to("/") / name,
        )


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
