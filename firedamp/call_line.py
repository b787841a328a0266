"""The user's line behind code of a system header: where a fortified wrapper, always inlined, was called.

The debug information of the inlined body says where it was called. Where it does not, the line program helps: gcc names
the call right before the body, mostly in a row of its own at the same address. Tables that are sorted by address lose
such rows, so this room reads the program in its own order.
"""

import functools
import os
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from elftools.common.exceptions import ELFError

SYSTEM_HEADER = re.compile(r"/usr/(local/)?include/|/usr/lib/(gcc|clang|llvm)|.*/ziglang/lib/")
BROKEN = (ELFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError)
MODULES_KEPT = 8
BODIES = frozenset({"DW_TAG_subprogram", "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"})


def call_line(module: str, address: int) -> tuple[str, int] | None:
    """File and line of the call whose inlined body holds `address` (of the ELF file); None where nothing tells."""
    try:
        status = os.stat(module)  # noqa: PTH116
        if found := _inlined(module, status.st_mtime_ns, address):
            return found
        return next(
            (found for rows in _programs(module, status.st_mtime_ns) if (found := _search(rows, address))), None
        )
    except BROKEN:
        return None


@functools.lru_cache(maxsize=1024)
def _inlined(module: str, mtime_ns: int, address: int) -> tuple[str, int] | None:
    """The call of the innermost inlined body around `address` that stands in no header (DWARF 5, 3.3.8)."""
    from elftools.elf.elffile import ELFFile  # takes 50 ms, and most runs have no such frame

    with open(module, "rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        unit = next((unit for unit in dwarf.iter_CUs() if _holds(unit.get_top_DIE(), dwarf, address)), None)
        program = dwarf.line_program_for_CU(unit) if unit is not None else None
        if unit is None or program is None:
            return None
        for die in reversed(tuple(_around(unit.get_top_DIE(), dwarf, address))):
            if not {"DW_AT_call_file", "DW_AT_call_line"} <= set(die.attributes):
                continue
            file = _name(program.header, die.attributes["DW_AT_call_file"].value, _folder(unit))
            if not SYSTEM_HEADER.match(file):
                return file, die.attributes["DW_AT_call_line"].value
    return None


def _around(die: Any, dwarf: Any, address: int) -> Iterator[Any]:
    """The inlined bodies that hold `address`, outermost first."""
    for child in die.iter_children():
        if child.tag in BODIES and _holds(child, dwarf, address):
            if child.tag == "DW_TAG_inlined_subroutine":
                yield child
            yield from _around(child, dwarf, address)


def _holds(die: Any, dwarf: Any, address: int) -> bool:
    attributes = die.attributes
    low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else None
    if "DW_AT_ranges" in attributes:
        top = die.cu.get_top_DIE().attributes
        base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
        for entry in dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, die.cu):
            if hasattr(entry, "base_address"):
                base = entry.base_address
                continue
            shift = 0 if entry.is_absolute else base
            if entry.begin_offset + shift <= address < entry.end_offset + shift:
                return True
        return False
    if low is None or "DW_AT_high_pc" not in attributes:
        return False
    high = attributes["DW_AT_high_pc"]
    return bool(low <= address < (high.value if high.form == "DW_FORM_addr" else low + high.value))


Row = tuple[int, str, int, bool]  # address, file, line, whether the sequence ends here


@functools.lru_cache(maxsize=MODULES_KEPT)
def _programs(module: str, mtime_ns: int) -> tuple[tuple[Row, ...], ...]:
    """The line programs of all compile units, rows in their own order."""
    from elftools.elf.elffile import ELFFile  # takes 50 ms, and most runs have no such frame

    with open(module, "rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        units = [(unit, dwarf.line_program_for_CU(unit)) for unit in dwarf.iter_CUs()]
        return tuple(tuple(_rows(unit, program)) for unit, program in units if program is not None)


def _rows(unit: Any, program: Any) -> Iterable[Row]:
    folder = _folder(unit)
    names: dict[int, str] = {}
    for entry in program.get_entries():
        if (state := entry.state) is not None:
            if state.file not in names:
                names[state.file] = _name(program.header, state.file, folder)
            yield state.address, names[state.file], state.line, state.end_sequence


def _folder(unit: Any) -> str:
    attributes = unit.get_top_DIE().attributes
    return os.fsdecode(attributes["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in attributes else ""


def _name(header: Any, index: int, folder: str) -> str:
    first = 0 if header["version"] >= 5 else 1  # DWARF 5 counts files and folders from 0
    entry = header["file_entry"][index - first]
    at = entry.dir_index - first
    within = os.fsdecode(header["include_directory"][at]) if at >= 0 else ""
    return os.path.normpath(os.path.join(folder, within, os.fsdecode(entry.name)))  # noqa: PTH118


def _search(rows: tuple[Row, ...], address: int) -> tuple[str, int] | None:
    for index, (row, following) in enumerate(pairwise(rows)):
        if row[0] <= address < following[0] and not row[3]:
            return _before(rows, index)
    return None


def _before(rows: tuple[Row, ...], index: int) -> tuple[str, int] | None:
    """The last row of the same sequence that is no header's."""
    while index >= 0 and not rows[index][3]:
        _, file, line, _ = rows[index]
        if line and not SYSTEM_HEADER.match(file):
            return file, line
        index -= 1
    return None
