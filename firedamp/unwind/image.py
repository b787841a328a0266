"""One ELF file, seen through its program headers: virtual address -> call frame information.

Total on any bytes: what is no ELF file for x86-64, or lacks what is asked for, answers None.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from struct import Struct
from struct import error as StructError

from firedamp.unwind.cfi import Entry, Row, Section
from firedamp.unwind.reader import OMIT, Malformed, Reader

EHDR = Struct("<6s10xHHIQQQIHHHHHH")
PHDR = Struct("<IIQQQQQQ")
SHDR = Struct("<IIQQQQIIQQ")
PT_LOAD, PT_GNU_EH_FRAME, PF_X, SHT_NOBITS = 1, 0x6474E550, 1, 8  # elf(5)
MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
EM_X86_64 = 62
PAGE = 4096
SECTION_LIMIT_BYTES = 256 << 20  # of .eh_frame; that of a web browser has 20 MiB
TABLE_ENCODING = 0x3B  # DW_EH_PE_datarel | sdata4: what every linker writes

ReadImage = Callable[[int, int], bytes]  # (offset, size) -> bytes, short at the end, empty on any error
Index = tuple[
    "array[int] | list[int]", "array[int] | list[int]", Section, int
]  # starts, positions; both less an offset


@dataclass(frozen=True, slots=True)
class Segment:
    kind: int
    flags: int
    offset: int
    address: int
    file_size: int


@dataclass(frozen=True, slots=True)
class SectionHeader:
    name: bytes
    kind: int
    address: int
    offset: int
    size: int


def file_reader(path: str) -> ReadImage:
    """Opens for each call: an image needs a handful, and a descriptor that stays open would have to be closed."""

    def read(offset: int, size: int) -> bytes:
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except (OSError, ValueError, OverflowError):
            return b""

    return read


class Image:
    """`mapped`: `read` counts from where the file's first segment is in memory, not from the start of the file."""

    def __init__(self, read: ReadImage, *, mapped: bool = False) -> None:
        self._read = read
        self._mapped = mapped
        self._rows: dict[int, Row | None] = {}
        self.segments: tuple[Segment, ...] = ()
        self._section_table = (0, 0, 0)
        with suppress(Malformed, StructError):
            self._load_headers()

    @classmethod
    def of_file(cls, path: str | Path) -> "Image":
        return cls(file_reader(str(path)))

    def bias(self, offset: int, size: int) -> int | None:
        """Virtual address minus file offset of the executable bytes at [offset, offset + size) of the file."""
        for segment in self.segments:
            if segment.kind == PT_LOAD and segment.flags & PF_X:
                first = segment.offset & -PAGE
                if first < offset + size and offset < segment.offset + segment.file_size:
                    return segment.address - segment.offset
        return None

    def row(self, address: int) -> Row | None:
        """How to leave the function at `address`; None where no entry covers it, or a malformed one."""
        try:
            return self._rows[address]
        except KeyError:
            row = self._rows[address] = self._find_row(address)
            return row

    def function_start(self, address: int) -> int | None:
        """Where the function begins that covers `address`, by its call frame information."""
        found = self._entry(address)
        return found[1].start if found is not None else None

    def section(self, name: bytes) -> tuple[int, bytes] | None:
        """Virtual address and content, as they are in the file; None without such a section, or in memory."""
        for header in self._section_headers:
            if header.name == name and 0 < header.size <= SECTION_LIMIT_BYTES and header.kind != SHT_NOBITS:
                return header.address, self._read(header.offset, header.size)
        return None

    def _find_row(self, address: int) -> Row | None:
        found = self._entry(address)
        if found is None:
            return None
        try:
            return found[0].row(found[1], address)
        except (Malformed, OverflowError):
            return None

    def _entry(self, address: int) -> tuple[Section, Entry] | None:
        index = self._index
        if index is None:
            return None
        starts, positions, section, origin = index
        nearest = bisect_right(starts, address - origin) - 1
        if nearest < 0:
            return None
        try:
            entry = section.entry(positions[nearest] + origin - section.base)
        except Malformed:
            return None
        return (section, entry) if entry is not None and entry.start <= address < entry.end else None

    @cached_property
    def _index(self) -> Index | None:
        try:
            header = next((segment for segment in self.segments if segment.kind == PT_GNU_EH_FRAME), None)
            if header is not None and header.file_size:
                return self._index_of_header(header)
            return self._index_of_sections()
        except (Malformed, StructError, OverflowError, MemoryError):
            return None

    def _index_of_header(self, header: Segment) -> Index | None:
        """The binary search table (Linux Standard Base, 10.6.2), or a scan where it has none of the usual form."""
        data = self._at(header.address, min(header.file_size, SECTION_LIMIT_BYTES))
        reader = Reader(data, base=header.address)
        if reader.u8() != 1:
            return None
        frame_encoding, count_encoding, table_encoding = reader.u8(), reader.u8(), reader.u8()
        if frame_encoding == OMIT:
            return None
        start = reader.encoded(frame_encoding, header.address)
        section = Section(self._rest_of_segment(start), start)
        if count_encoding == OMIT or table_encoding != TABLE_ENCODING:
            return _scan(section)
        count = reader.encoded(count_encoding, header.address)
        table = array("i", data[reader.position : reader.position + 8 * count][: (len(data) - reader.position) & -8])
        starts = table[0::2]
        if any(left > right for left, right in pairwise(starts)):
            return _scan(section)
        return starts, table[1::2], section, header.address

    def _index_of_sections(self) -> Index | None:
        for name, debug in ((b".eh_frame", False), (b".debug_frame", True)):
            found = self.section(name)
            index = _scan(Section(found[1], found[0], debug=debug)) if found is not None else None
            if index is not None:
                return index
        return None

    def _load_headers(self) -> None:
        header = self._read(0, EHDR.size)
        magic, _, machine, _, _, ph_offset, sh_offset, _, _, ph_size, ph_count, _, sh_count, names = EHDR.unpack(header)
        if magic != MAGIC or machine != EM_X86_64 or ph_size != PHDR.size:
            raise Malformed("no ELF file for x86-64")
        self._section_table = sh_offset, sh_count, names
        table = self._read(ph_offset, ph_count * PHDR.size)
        found = [PHDR.unpack_from(table, index * PHDR.size) for index in range(len(table) // PHDR.size)]
        self.segments = tuple(
            Segment(kind, flags, offset, address, file_size) for kind, flags, offset, address, _, file_size, *_ in found
        )

    @cached_property
    def _section_headers(self) -> tuple[SectionHeader, ...]:
        offset, count, names_index = self._section_table
        if not offset or self._mapped:
            return ()
        table = self._read(offset, count * SHDR.size)
        raw = [SHDR.unpack_from(table, index * SHDR.size) for index in range(len(table) // SHDR.size)]
        if names_index >= len(raw):
            return ()
        names = self._read(raw[names_index][4], min(raw[names_index][5], SECTION_LIMIT_BYTES))
        return tuple(
            SectionHeader(names[name : max(names.find(b"\0", name), name)], kind, address, start, size)
            for name, kind, _, address, start, size, *_ in raw
        )

    def _rest_of_segment(self, address: int) -> bytes:
        for segment in self.segments:
            if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                return self._at(address, min(segment.address + segment.file_size - address, SECTION_LIMIT_BYTES))
        raise Malformed(".eh_frame is not loaded")

    def _at(self, address: int, size: int) -> bytes:
        for segment in self.segments:
            if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                size = min(size, segment.address + segment.file_size - address)
                if self._mapped:
                    return self._read(address - self._lowest, size)
                return self._read(address - segment.address + segment.offset, size)
        raise Malformed("an address outside of the file")

    @cached_property
    def _lowest(self) -> int:
        return min((segment.address & -PAGE for segment in self.segments if segment.kind == PT_LOAD), default=0)


def _scan(section: Section) -> Index | None:
    entries = section.entries()
    if not entries:
        return None
    return [start for start, _, _ in entries], [position + section.base for _, _, position in entries], section, 0
