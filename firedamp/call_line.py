"""The user's line behind code of a system header: where a fortified wrapper, always inlined, was called.

A line program names the call right before the inlined body, mostly in a row of its own at the same address. Tables
that are sorted by address lose such rows, so this room reads the program in its own order.
"""

import functools
import os
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

SYSTEM_HEADER = re.compile(r"/usr/(local/)?include/|/usr/lib/(gcc|clang|llvm)|.*/ziglang/lib/")
BROKEN = (ELFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError)
MODULES_KEPT = 8


def call_line(module: str, address: int) -> tuple[str, int] | None:
    """File and line of the call whose inlined body holds `address` (of the ELF file); None where nothing tells."""
    try:
        status = os.stat(module)  # noqa: PTH116
        return next(
            (found for rows in _programs(module, status.st_mtime_ns) if (found := _search(rows, address))), None
        )
    except BROKEN:
        return None


Row = tuple[int, str, int, bool]  # address, file, line, whether the sequence ends here


@functools.lru_cache(maxsize=MODULES_KEPT)
def _programs(module: str, mtime_ns: int) -> tuple[tuple[Row, ...], ...]:
    """The line programs of all compile units, rows in their own order."""
    with open(module, "rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        units = [(unit, dwarf.line_program_for_CU(unit)) for unit in dwarf.iter_CUs()]
        return tuple(tuple(_rows(unit, program)) for unit, program in units if program is not None)


def _rows(unit: Any, program: Any) -> Iterable[Row]:
    attributes = unit.get_top_DIE().attributes
    folder = os.fsdecode(attributes["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in attributes else ""
    names: dict[int, str] = {}
    for entry in program.get_entries():
        if (state := entry.state) is not None:
            if state.file not in names:
                names[state.file] = _name(program.header, state.file, folder)
            yield state.address, names[state.file], state.line, state.end_sequence


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
