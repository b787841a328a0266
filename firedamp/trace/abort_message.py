"""glibc's __abort_msg: what malloc, assert, FORTIFY or the stack protector said before they aborted.

The symbol is GLIBC_PRIVATE: a pointer to struct { unsigned int size; char msg[]; } (glibc, include/stdlib.h and
sysdeps/posix/libc_fatal.c). A static program has it in .symtab unless that was stripped.
"""

import functools
import struct
from pathlib import Path

from firedamp.trace import ptrace

SYMBOL = "__abort_msg"
LONGEST = 4096  # bytes of a message that are kept


def abort_message(pid: int, tid: int) -> str | None:
    """The message, without its final newline; None where there is none or it cannot be found."""
    for start, path in _modules(pid):
        offset = _symbol(path, *_version(path))
        if offset is None:
            continue
        pointer = ptrace.read_memory(tid, start + offset, 8)
        address = struct.unpack("<Q", pointer)[0] if len(pointer) == 8 else 0
        head = ptrace.read_memory(tid, address, 4) if address else b""
        if len(head) < 4:
            continue
        text = ptrace.read_string(tid, address + 4, min(struct.unpack("<I", head)[0], LONGEST))
        return text.decode("utf-8", "replace").rstrip("\n") or None
    return None


def _version(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_ino, status.st_mtime_ns


def _modules(pid: int) -> list[tuple[int, str]]:
    """Load address and file of libc, and of the program itself in case it is static."""
    program = ""
    found: dict[str, int] = {}
    try:
        program = str(Path(f"/proc/{pid}/exe").readlink())
        lines = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    for line in lines:
        span, _, offset, _, _, *name = line.split(maxsplit=5)
        if name and int(offset, 16) == 0:
            path = name[0]
            if path == program or Path(path).name.startswith(("libc.so", "libc-")):
                found.setdefault(path, int(span.partition("-")[0], 16))
    return sorted(
        ((start, path) for path, start in found.items() if Path(path).exists()), key=lambda m: m[1] == program
    )


@functools.lru_cache(maxsize=64)
def _symbol(path: str, _inode: int, _mtime_ns: int) -> int | None:
    """The symbol's distance from the file's load address."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    try:
        with Path(path).open("rb") as file:
            elf = ELFFile(file)
            lowest = min(s["p_vaddr"] - s["p_offset"] for s in elf.iter_segments("PT_LOAD"))
            for name in (".dynsym", ".symtab"):
                table = elf.get_section_by_name(name)
                symbols = table.get_symbol_by_name(SYMBOL) if isinstance(table, SymbolTableSection) else None
                if symbols and symbols[0]["st_shndx"] != "SHN_UNDEF":
                    return int(symbols[0]["st_value"]) - int(lowest)
    except (ELFError, OSError, ValueError):
        return None
    return None
