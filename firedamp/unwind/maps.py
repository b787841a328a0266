"""Which file lies where in a process: the executable lines of /proc/PID/maps (proc(5))."""

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from firedamp.unwind.image import Image, file_reader
from firedamp.unwind.site import is_own

LINE = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$", re.MULTILINE)
DELETED = b" (deleted)"
IMAGE_LIMIT = 256  # files whose call frame information is kept

ReadMemory = Callable[[int, int], bytes]  # (address, size) -> bytes, short at the end of a mapping


@dataclass(frozen=True, slots=True)
class Mapping:
    """Executable memory. `bias` is added to an address to get the ELF virtual address; 0 without a file."""

    start: int
    end: int
    module: str
    bias: int
    image: Image | None
    own: bool


class Maps:
    """The executable mappings of one process at one moment."""

    def __init__(self, pid: int, read: ReadMemory) -> None:
        self.mappings = _read_maps(pid, read)
        self._starts = [mapping.start for mapping in self.mappings]

    def find(self, address: int) -> Mapping | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self.mappings[index].end:
            return None
        return self.mappings[index]


def _read_maps(pid: int, read: ReadMemory) -> list[Mapping]:
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            text = file.read()
    except OSError:
        return []
    found: list[Mapping] = []
    bases: dict[bytes, int] = {}  # where the first byte of a file is
    for line in LINE.finditer(text):
        start, end, offset = int(line[1], 16), int(line[2], 16), int(line[4], 16)
        if offset == 0:
            bases[line[8]] = start
        if line[3][2:3] != b"x":
            continue
        image = _image(pid, line, bases.get(line[8]), read)
        name = os.fsdecode(line[8].removesuffix(DELETED).replace(b"\\012", b"\n")) or "[anon]"
        bias = image.bias(offset, end - start) if image is not None else None
        if bias is None:
            found.append(Mapping(start, end, name, 0, None, False))
        else:
            found.append(Mapping(start, end, name, bias + offset - start, image, is_own(name)))
    return found


def _image(pid: int, line: "re.Match[bytes]", base: int | None, read: ReadMemory) -> Image | None:
    """From the file if it is still the mapped one, else from the process itself."""
    if line[8] == b"[vdso]":
        return _image_in_memory(int(line[1], 16), read)
    if not line[8].startswith(b"/"):
        return None
    inode = int(line[7])  # the device is no help: overlayfs and btrfs tell another one there than stat(2)
    name = os.fsdecode(line[8].replace(b"\\012", b"\n"))
    for path in (name, f"/proc/{pid}/root{name}"):
        try:
            status = Path(path).stat()
        except OSError:
            continue
        if status.st_ino == inode and stat.S_ISREG(status.st_mode):
            return _image_of_file(path, inode, status.st_mtime_ns, status.st_size)
    return _image_in_memory(base, read) if base is not None else None


@lru_cache(maxsize=IMAGE_LIMIT)
def _image_of_file(path: str, inode: int, mtime_ns: int, size: int) -> Image:
    """The numbers tell versions of a file apart."""
    return Image(file_reader(path))


def _image_in_memory(base: int, read: ReadMemory) -> Image:
    return Image(lambda offset, size: read(base + offset, size), mapped=True)
