"""Numbers as DWARF writes them, out of bytes that may be anything."""

from struct import Struct

U16, U32, U64 = Struct("<H"), Struct("<I"), Struct("<Q")
S16, S32, S64 = Struct("<h"), Struct("<i"), Struct("<q")
MASK = (1 << 64) - 1
LEB128_LIMIT = 10  # bytes of a 64-bit number
EXTENDED_LENGTH = 0xFFFFFFFF  # the 64-bit format of DWARF

# DW_EH_PE_* of the Linux Standard Base, 10.5.1
OMIT = 0xFF
PCREL, DATAREL = 0x10, 0x30
FIXED = {0x0: U64, 0x2: U16, 0x3: U32, 0x4: U64, 0xA: S16, 0xB: S32, 0xC: S64}
ULEB, SLEB = 0x1, 0x9


class Malformed(ValueError):
    """Bytes that are no call frame information."""


class Reader:
    """A cursor over `data`, whose first byte has the virtual address `base`. Reading past the end is Malformed."""

    __slots__ = ("base", "data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None, base: int = 0) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else min(end, len(data))
        self.base = base

    def fixed(self, kind: Struct) -> int:
        start = self.position
        if not 0 <= start <= self.end - kind.size:
            raise Malformed("end of data")
        self.position = start + kind.size
        value: int = kind.unpack_from(self.data, start)[0]
        return value

    def u8(self) -> int:
        start = self.position
        if not 0 <= start < self.end:
            raise Malformed("end of data")
        self.position = start + 1
        return self.data[start]

    def s8(self) -> int:
        value = self.u8()
        return value - 256 if value & 0x80 else value

    def uleb(self) -> int:
        value, _ = self._leb()
        return value & MASK

    def sleb(self) -> int:
        value, bits = self._leb()
        return value - (1 << bits) if value >> (bits - 1) else value

    def _leb(self) -> tuple[int, int]:
        value = 0
        for index in range(LEB128_LIMIT):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, 7 * index + 7
        raise Malformed("a number of more than 64 bits")

    def block(self) -> bytes:
        size = self.uleb()
        start = self.position
        if size > self.end - start:
            raise Malformed("end of data")
        self.position = start + size
        return self.data[start : self.position]

    def text(self) -> bytes:
        stop = self.data.find(b"\0", self.position, self.end)
        if stop < 0:
            raise Malformed("text without an end")
        found = self.data[self.position : stop]
        self.position = stop + 1
        return found

    def length(self) -> tuple[int, bool]:
        """The length that opens a unit, and whether it is in the 64-bit format."""
        size = self.fixed(U32)
        return (self.fixed(U64), True) if size == EXTENDED_LENGTH else (size, False)

    def encoded(self, encoding: int, data_base: int = 0) -> int:
        """A pointer as a virtual address. Those that need the running process (text, function) are Malformed."""
        here = self.base + self.position
        form, application = encoding & 0x0F, encoding & 0x70
        if form in FIXED:
            value = self.fixed(FIXED[form])
        elif form == ULEB:
            value = self.uleb()
        elif form == SLEB:
            value = self.sleb()
        else:
            raise Malformed(f"pointer encoding {encoding:#x}")
        if application == 0:
            return value & MASK
        if application == PCREL:
            return (value + here) & MASK
        if application == DATAREL:
            return (value + data_base) & MASK
        raise Malformed(f"pointer encoding {encoding:#x}")
