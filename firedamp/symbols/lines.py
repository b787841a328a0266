"""Line tables (DWARF 2-5, headers by pyelftools): which line of which file an address comes from."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from firedamp.symbols import scopes
from firedamp.symbols.line_program import Parameters, run
from firedamp.symbols.scopes import Scope, Span
from firedamp.symbols.variables import Buffer, buffers

Place = tuple[str, int]  # absolute path, line
Range = tuple[int, int, Any]  # start, end, compilation unit
SIZE_LIMIT_BYTES = 1 << 30  # of a file with debug information: pyelftools holds its sections in memory
ADDRESS_FORMS = frozenset({"DW_FORM_addr", "DW_FORM_addrx", *(f"DW_FORM_addrx{n}" for n in (1, 2, 3, 4))})
Row = tuple[int, str | None, int]  # address, file (None: nothing from here on), line


class Lines:
    """Lines of one file. Only the line table of the unit that is asked for is decoded, and kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: dict[int, tuple[list[int], list[Row]]] = {}
        self._spans: dict[int, list[Span]] = {}

    def find(self, address: int) -> Place | None:
        # pyelftools answers bad bytes with a dozen kinds of exceptions, AttributeError and AssertionError among them
        try:
            return self._find(address)
        except Exception:
            return None

    def rows(self) -> Iterator[Row]:
        """The whole table, unit by unit; nothing where there is no debug information that makes sense."""
        try:
            units = tuple(self._dwarf.iter_CUs()) if self._dwarf is not None else ()
            tables = [self._table(unit)[1] for unit in units]
        except Exception:  # as in `find`
            return
        for table in tables:
            yield from table

    def buffers(self, address: int) -> tuple[Buffer, ...]:
        """Arrays and structures on the stack of the function at `address`."""
        try:
            return next((found for unit in self._units(address) if (found := buffers(unit, address))), ())
        except Exception:  # as in `find`
            return ()

    def scopes(self, address: int) -> tuple[Scope, ...]:
        """The functions of the source round `address`, inlined ones first."""
        try:
            return next((found for unit in self._units(address) if (found := self._scopes(unit, address))), ())
        except Exception:  # as in `find`
            return ()

    def _scopes(self, unit: Any, address: int) -> tuple[Scope, ...]:
        offset = int(unit.cu_offset)
        if offset not in self._spans:
            program = self._dwarf.line_program_for_CU(unit)
            files = _files(unit, program) if program is not None else {}
            self._spans[offset] = scopes.spans(unit, files, lambda entry: _ranges_of(entry, unit, self._dwarf))
        return scopes.around(self._spans[offset], address)

    def _find(self, address: int) -> Place | None:
        for unit in self._units(address):
            starts, rows = self._table(unit)
            index = bisect_right(starts, address) - 1
            while index >= 0 and rows[index][1] is not None:
                _, file, line = rows[index]
                if file is not None and line:
                    return file, line
                index -= 1  # line 0: the compiler's own code, which belongs to what stands before it
        return None

    @cached_property
    def _dwarf(self) -> Any:
        from elftools.elf.elffile import ELFFile  # takes 50 ms, and many runs have no stack to name

        if self._path.stat().st_size > SIZE_LIMIT_BYTES:
            return None
        with self._path.open("rb") as file:
            elf = ELFFile(file)
            return elf.get_dwarf_info(follow_links=False) if elf.has_dwarf_info() else None

    def _units(self, address: int) -> Iterator[Any]:
        """The unit by .debug_aranges; then by the ranges of the units that are not in there, such as clang's."""
        if self._dwarf is None:
            return
        offset = self._aranges.cu_offset_at_addr(address) if self._aranges is not None else None
        if offset is not None:
            yield self._dwarf.get_CU_at(offset)
        starts, ranges = self._ranges
        for start, end, unit in reversed(ranges[: bisect_right(starts, address)]):
            if address < end:
                yield unit
            elif start + self._longest < address:
                return

    @cached_property
    def _aranges(self) -> Any:
        found = self._dwarf.get_aranges()
        return found if found is not None and found.entries else None

    @cached_property
    def _ranges(self) -> tuple[list[int], list[Range]]:
        found: list[Range] = []
        # a first entry costs 5 ms, and a libc has 2,000 units
        listed = {entry.info_offset for entry in self._aranges.entries} if self._aranges is not None else set()
        for unit in (unit for unit in self._dwarf.iter_CUs() if unit.cu_offset not in listed):
            found += [(start, end, unit) for start, end in _ranges_of(unit.get_top_DIE(), unit, self._dwarf)]
        found.sort(key=lambda item: item[:2])
        return [start for start, _, _ in found], found

    @cached_property
    def _longest(self) -> int:
        return max((end - start for start, end, _ in self._ranges[1]), default=0)

    def _table(self, unit: Any) -> tuple[list[int], list[Row]]:
        offset = int(unit.cu_offset)
        table = self._tables.get(offset)
        if table is None:
            rows = _rows(unit, self._dwarf.line_program_for_CU(unit))
            table = self._tables[offset] = [address for address, _, _ in rows], rows
        return table


def _ranges_of(entry: Any, unit: Any, dwarf: Any) -> Iterator[tuple[int, int]]:
    """[start, end) of the code of a unit's entry (its first one: all of it); nothing where there is no code."""
    attributes = entry.attributes
    top = unit.get_top_DIE().attributes
    low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
    if "DW_AT_ranges" in attributes:
        base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
        for item in dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
            if hasattr(item, "base_address"):
                base = item.base_address
            else:
                shift = 0 if item.is_absolute else base
                yield item.begin_offset + shift, item.end_offset + shift
    elif "DW_AT_high_pc" in attributes:
        high = attributes["DW_AT_high_pc"]
        # a constant is a length since DWARF 4 (2.17.2)
        yield low, high.value if high.form in ADDRESS_FORMS else low + high.value


def _rows(unit: Any, program: Any) -> list[Row]:
    """The line table by address. Sequences may stand in any order, but never overlap."""
    if program is None:
        return []
    files = _files(unit, program)
    header = program.header
    parameters = Parameters(
        minimum_length=header["minimum_instruction_length"],
        line_base=header["line_base"],
        line_range=header["line_range"],
        opcode_base=header["opcode_base"],
        operand_counts=tuple(header["standard_opcode_lengths"]),
    )
    code = program.stream.getvalue()[program.program_start_offset : program.program_end_offset]
    sequences: list[list[Row]] = [[]]
    for address, file, line, last in run(code, parameters):
        sequences[-1].append((address, None if last else files.get(file, ""), line))
        if last:
            sequences.append([])
    # the linker leaves sequences of functions that it dropped at address 0
    ordered = sorted((rows for rows in sequences if rows and rows[0][0]), key=lambda rows: rows[0][0])
    return [row for rows in ordered for row in rows]


def _files(unit: Any, program: Any) -> dict[int, str]:
    """Number of a file in the table -> absolute path, with neither . nor .. in it."""
    attributes = unit.get_top_DIE().attributes
    home = _text(attributes["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in attributes else "/"
    folders = [_text(folder) for folder in program["include_directory"]]
    first = 0
    if program["version"] < 5:  # before, 0 was the compilation's own folder, and files counted from 1
        folders.insert(0, home)
        first = 1
    paths: dict[int, str] = {}
    for number, entry in enumerate(program["file_entry"], first):
        folder = folders[entry.dir_index] if entry.dir_index < len(folders) else ""
        paths[number] = os.path.normpath(Path(home, folder, _text(entry.name)))
    return paths


def _text(raw: bytes | str | int) -> str:
    """A number is an offset into a file of dwz(1) that is not there."""
    return os.fsdecode(raw) if isinstance(raw, bytes | str) else ""
