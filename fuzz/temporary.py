"""Does a target want to write into /tmp? Our confinement refuses it: a harness that cannot make its file tests nothing.

Read from the ELF file, so it is a hint for a person: a name in the read-only data may never be used.
"""

import re
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

NAME = re.compile(rb"(?<=\0)/(?:var/)?tmp/[^\0/]+(?=\0)")
SOURCE = re.compile(rb".*\.(c|h|cc|cpp|cxx|hpp)", re.DOTALL)  # the place of an assertion
CALLS = frozenset({"tmpfile", "tmpfile64", "tmpnam", "tmpnam_r"})  # they do not heed $TMPDIR: P_tmpdir of stdio.h


def find_temporary(executable: Path) -> str | None:
    """What in it points to /tmp, for a person; None when nothing does."""
    try:
        with executable.open("rb") as stream:
            elf = ELFFile(stream)
            imports = elf.get_section_by_name(".dynsym")
            called = (
                {symbol.name for symbol in imports.iter_symbols()} if isinstance(imports, SymbolTableSection) else set()
            )
            data = elf.get_section_by_name(".rodata")
            names = NAME.findall(b"\0" + data.data()) if data is not None else []
    except (ELFError, OSError):
        return None
    for function in sorted(CALLS & called):
        return f"{function}()"
    return next((repr(name.decode("utf-8", "replace")) for name in names if not SOURCE.fullmatch(name)), None)
