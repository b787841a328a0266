"""One file with code, and the file with its debug information if that is apart."""

import zlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from firedamp.symbols.functions import Function, Functions
from firedamp.symbols.lines import Lines, Place
from firedamp.symbols.scopes import Scope
from firedamp.symbols.variables import Buffer
from firedamp.unwind.image import Image

DEBUG_ROOT = Path("/usr/lib/debug")
GLIBC_STATIC = b"__libc_IO_vtables"  # glibc's libio/libioP.h: in libc.so.6, and in what holds libc.a
NOTE_HEADER_BYTES = 16  # namesz, descsz, type, "GNU\0" (elf(5), Notes)


class Module:
    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._image = Image.of_file(path)

    def function(self, address: int) -> Function | None:
        found = self._functions.find(address)
        if found is not None:
            return found
        start = self._image.function_start(address)
        return (f"sub_{start:x}", start) if start is not None else None

    def line(self, address: int) -> Place | None:
        return self._lines.find(address)

    def buffers(self, address: int) -> tuple[Buffer, ...]:
        return self._lines.buffers(address)

    def scopes(self, address: int) -> tuple[Scope, ...]:
        return self._lines.scopes(address)

    def is_runtime(self, address: int) -> bool:
        """In a static program, which holds its C library: that has no lines where the program's own code has them."""
        holds_libc = self._image.section(GLIBC_STATIC) is not None
        return holds_libc and self._image.section(b".debug_line") is not None and self.line(address) is None

    @cached_property
    def _debug_path(self) -> Path | None:
        return _find_debug_file(self._path, self._image)

    @cached_property
    def _functions(self) -> Functions:
        if self._image.section(b".symtab") is None and self._debug_path is not None:
            return Functions(Image.of_file(self._debug_path))
        return Functions(self._image)

    @cached_property
    def _lines(self) -> Lines:
        here = self._image.section(b".debug_line") is not None or self._debug_path is None
        return Lines(self._path if here else self._debug_path or self._path)


def _find_debug_file(path: Path, image: Image) -> Path | None:
    """As gdb searches: by build id, then by .gnu_debuglink and its checksum (Debugging with GDB, 18.3)."""
    note = image.section(b".note.gnu.build-id")
    if note is not None:
        identity = note[1][NOTE_HEADER_BYTES:].hex()
        candidate = DEBUG_ROOT / ".build-id" / identity[:2] / f"{identity[2:]}.debug"
        if identity and candidate.is_file():
            return candidate
    link = image.section(b".gnu_debuglink")
    if link is None:
        return None
    name, checksum = link[1].split(b"\0", 1)[0].decode("utf-8", "replace"), int.from_bytes(link[1][-4:], "little")
    folder = path.parent
    for candidate in (folder / name, folder / ".debug" / name, DEBUG_ROOT / folder.relative_to("/") / name):
        with suppress(OSError):
            if name and candidate != path and zlib.crc32(candidate.read_bytes()) == checksum:
                return candidate
    return None
