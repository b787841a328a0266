"""Call frame information: which registers a function has saved where, at each of its instructions.

.eh_frame and .eh_frame_hdr as the Linux Standard Base (Core, 10.6) and DWARF 5 (6.4) define them. One entry is parsed
when an address in it is first asked for; a row is computed once. Total: on damaged input there is no row, and no error.
"""

import bisect
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

BREAKS = (struct.error, IndexError, ValueError, KeyError, OverflowError)

# DW_EH_PE_*: the low half says how a number is written, the rest what it is relative to.
_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
_OMITTED = 0xFF


class Rule(Enum):
    """How the caller's register is found (DWARF 5, 6.4.1)."""

    UNDEFINED = "undefined"
    SAME = "same"
    OFFSET = "offset"  # saved at CFA + value
    VALUE_OFFSET = "value offset"  # is CFA + value
    REGISTER = "register"  # is in another register
    EXPRESSION = "expression"  # saved at the address that the expression gives
    VALUE_EXPRESSION = "value expression"


@dataclass(frozen=True, slots=True)
class Row:
    """What holds at one instruction. `cfa` is (register, offset) or the bytes of an expression."""

    cfa: tuple[int, int] | bytes
    rules: Mapping[int, tuple[Rule, int | bytes]]
    return_register: int
    signal_frame: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    code_factor: int
    data_factor: int
    return_register: int
    encoding: int
    signal_frame: bool
    augmented: bool
    instructions: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    start: int
    end: int
    common: _Common
    instructions: bytes


@dataclass(slots=True)
class Cursor:
    """Reads numbers from bytes; `base` is the address of data[0]."""

    data: bytes
    base: int = 0
    at: int = 0

    def number(self, layout: str) -> int:
        value: int = struct.unpack_from(layout, self.data, self.at)[0]
        self.at += struct.calcsize(layout)
        return value

    def uleb(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def sleb(self) -> int:
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def pointer(self, encoding: int, data_base: int = 0) -> int:
        """A DW_EH_PE-encoded address."""
        origin = self.base + self.at
        match encoding & 0x0F:
            case 0x01:
                value = self.uleb()
            case 0x09:
                value = self.sleb()
            case other:
                value = self.number(_FORMATS[other])
        match encoding & 0x70:
            case 0x10:
                value += origin
            case 0x30:
                value += data_base
        return value & 0xFFFF_FFFF_FFFF_FFFF

    def block(self) -> bytes:
        size = self.uleb()
        self.at += size
        return self.data[self.at - size : self.at]

    @property
    def left(self) -> bool:
        return self.at < len(self.data)


class CallFrames:
    """The frames of one module. `read(address, size)` gives the module's bytes by its own virtual addresses."""

    def __init__(
        self, read: Callable[[int, int], bytes], header: tuple[int, int] | None, section: tuple[int, int] | None
    ) -> None:
        """`header` is address and size of .eh_frame_hdr, `section` of .eh_frame, for a file without the former."""
        self._read = read
        self._rows: dict[int, Row | None] = {}
        self._commons: dict[int, _Common] = {}
        self._entries: dict[int, _Entry | None] = {}
        self._table: list[tuple[int, int]] = []  # function start, address of its entry
        try:
            self._table = sorted(self._searchable(header) if header else self._scan(section) if section else ())
        except BREAKS:
            self._table = []
        self._starts = [start for start, _ in self._table]

    def row(self, address: int) -> Row | None:
        if address not in self._rows:
            try:
                self._rows[address] = self._compute(address)
            except BREAKS:
                self._rows[address] = None
        return self._rows[address]

    def start(self, address: int) -> int | None:
        """Where the function that holds `address` begins."""
        try:
            entry = self._entry(address)
        except BREAKS:
            return None
        return None if entry is None else entry.start

    def _compute(self, address: int) -> Row | None:
        entry = self._entry(address)
        if entry is None:
            return None
        common = entry.common
        machine = _Machine(common=common, address=entry.start, target=address)
        machine.run(common.instructions)
        machine.initial = dict(machine.rules)
        machine.address = entry.start
        machine.run(entry.instructions)
        if machine.cfa is None:
            return None
        return Row(machine.cfa, dict(machine.rules), common.return_register, common.signal_frame)

    def _entry(self, address: int) -> _Entry | None:
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        place = self._table[index][1]
        if place not in self._entries:
            self._entries[place] = self._parse_entry(place)
        entry = self._entries[place]
        return entry if entry is not None and entry.start <= address < entry.end else None

    def _searchable(self, header: tuple[int, int]) -> Iterator[tuple[int, int]]:
        address, size = header
        cursor = Cursor(self._read(address, size), address)
        version, frame_encoding, count_encoding, table_encoding = cursor.data[:4]
        cursor.at = 4
        if version != 1 or _OMITTED in (count_encoding, table_encoding):
            return
        cursor.pointer(frame_encoding, address)
        count = cursor.pointer(count_encoding, address)
        for _ in range(min(count, size // 4)):
            yield cursor.pointer(table_encoding, address), cursor.pointer(table_encoding, address)

    def _scan(self, section: tuple[int, int]) -> Iterator[tuple[int, int]]:
        address, size = section
        cursor = Cursor(self._read(address, size), address)
        while cursor.at + 4 <= size and (length := cursor.number("<I")):
            place, end = cursor.at - 4, cursor.at + length
            if cursor.number("<I"):
                entry = self._parse_entry(address + place)
                if entry is not None:
                    yield entry.start, address + place
            cursor.at = end

    def _body(self, place: int) -> tuple[Cursor, int]:
        """The record at `place` without its length, and its CIE pointer."""
        length = struct.unpack("<I", self._read(place, 4))[0]
        if length in (0, 0xFFFFFFFF):
            raise ValueError("an end mark, or a record of 64-bit DWARF, which no x86-64 toolchain writes to .eh_frame")
        cursor = Cursor(self._read(place + 4, length), place + 4)
        return cursor, cursor.number("<I")

    def _parse_entry(self, place: int) -> _Entry | None:
        cursor, back = self._body(place)
        if back == 0:
            return None
        common = self._common(place + 4 - back)
        start = cursor.pointer(common.encoding)
        size = cursor.pointer(common.encoding & 0x0F)
        if common.augmented:
            cursor.block()
        return _Entry(start=start, end=start + size, common=common, instructions=cursor.data[cursor.at :])

    def _common(self, place: int) -> _Common:
        if place not in self._commons:
            self._commons[place] = self._parse_common(place)
        return self._commons[place]

    def _parse_common(self, place: int) -> _Common:
        cursor, _ = self._body(place)
        version = cursor.number("<B")
        end = cursor.data.index(0, cursor.at)
        letters = cursor.data[cursor.at : end].decode("latin-1")
        cursor.at = end + 1
        code_factor, data_factor = cursor.uleb(), cursor.sleb()
        return_register = cursor.number("<B") if version == 1 else cursor.uleb()
        encoding = 0x00
        augmented = letters.startswith("z")
        if augmented:
            size = cursor.uleb()
            after = cursor.at + size
            for letter in letters[1:]:
                match letter:
                    case "R":
                        encoding = cursor.number("<B")
                    case "L":
                        cursor.number("<B")
                    case "P":
                        cursor.pointer(cursor.number("<B") & 0x0F)
            cursor.at = after
        return _Common(
            code_factor=code_factor,
            data_factor=data_factor,
            return_register=return_register,
            encoding=encoding,
            signal_frame="S" in letters,
            augmented=augmented,
            instructions=cursor.data[cursor.at :],
        )


@dataclass(slots=True, kw_only=True)
class _Machine:
    """Executes DW_CFA_* instructions until the wanted address is passed."""

    common: _Common
    address: int
    target: int
    cfa: tuple[int, int] | bytes | None = None
    rules: dict[int, tuple[Rule, int | bytes]] = field(default_factory=dict)
    initial: dict[int, tuple[Rule, int | bytes]] = field(default_factory=dict)
    stack: list[tuple[tuple[int, int] | bytes | None, dict[int, tuple[Rule, int | bytes]]]] = field(
        default_factory=list
    )

    def run(self, instructions: bytes) -> None:
        cursor = Cursor(instructions)
        while cursor.left:
            code = cursor.number("<B")
            if code >> 6:
                self._primary(code >> 6, code & 0x3F, cursor)
            else:
                self._extended(code, cursor)
            if self.address > self.target:
                return

    def _primary(self, code: int, low: int, cursor: Cursor) -> None:
        """The three instructions that carry an operand in their low six bits."""
        if code == 1:
            self.address += low * self.common.code_factor
        elif code == 2:
            self.rules[low] = (Rule.OFFSET, cursor.uleb() * self.common.data_factor)
        else:
            self._restore(low)

    def _extended(self, code: int, cursor: Cursor) -> None:
        factor = self.common.data_factor
        match code:
            case 0x00:
                pass
            case 0x01:
                self.address = cursor.pointer(self.common.encoding)
            case 0x02 | 0x03 | 0x04:
                self.address += cursor.number({2: "<B", 3: "<H", 4: "<I"}[code]) * self.common.code_factor
            case 0x05:
                register = cursor.uleb()
                self.rules[register] = (Rule.OFFSET, cursor.uleb() * factor)
            case 0x06:
                self._restore(cursor.uleb())
            case 0x07:
                self.rules[cursor.uleb()] = (Rule.UNDEFINED, 0)
            case 0x08:
                self.rules[cursor.uleb()] = (Rule.SAME, 0)
            case 0x09:
                register = cursor.uleb()
                self.rules[register] = (Rule.REGISTER, cursor.uleb())
            case 0x0A:
                self.stack.append((self.cfa, dict(self.rules)))
            case 0x0B:
                self.cfa, self.rules = self.stack.pop()
            case 0x0C:
                self.cfa = (cursor.uleb(), cursor.uleb())
            case 0x0D:
                self.cfa = (cursor.uleb(), self._cfa_offset())
            case 0x0E:
                self.cfa = (self._cfa_register(), cursor.uleb())
            case 0x0F:
                self.cfa = cursor.block()
            case 0x10:
                register = cursor.uleb()
                self.rules[register] = (Rule.EXPRESSION, cursor.block())
            case 0x11:
                register = cursor.uleb()
                self.rules[register] = (Rule.OFFSET, cursor.sleb() * factor)
            case 0x12:
                self.cfa = (cursor.uleb(), cursor.sleb() * factor)
            case 0x13:
                self.cfa = (self._cfa_register(), cursor.sleb() * factor)
            case 0x14:
                register = cursor.uleb()
                self.rules[register] = (Rule.VALUE_OFFSET, cursor.uleb() * factor)
            case 0x15:
                register = cursor.uleb()
                self.rules[register] = (Rule.VALUE_OFFSET, cursor.sleb() * factor)
            case 0x16:
                register = cursor.uleb()
                self.rules[register] = (Rule.VALUE_EXPRESSION, cursor.block())
            case 0x2E:
                cursor.uleb()  # DW_CFA_GNU_args_size: for exceptions only
            case 0x2F:
                register = cursor.uleb()
                self.rules[register] = (Rule.OFFSET, -cursor.uleb() * factor)
            case _:
                raise ValueError(f"no DW_CFA instruction: {code:#x}")

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)

    def _cfa_offset(self) -> int:
        if not isinstance(self.cfa, tuple):
            raise ValueError("DW_CFA_def_cfa_register after an expression")
        return self.cfa[1]

    def _cfa_register(self) -> int:
        if not isinstance(self.cfa, tuple):
            raise ValueError("DW_CFA_def_cfa_offset after an expression")
        return self.cfa[0]


def evaluate(
    expression: bytes, registers: Mapping[int, int], load: Callable[[int], int | None], first: int | None = None
) -> int | None:
    """A DWARF expression (2.5) as call frames use it; `first` lies on the stack to begin with. None: cannot be told."""
    cursor = Cursor(expression)
    stack = [] if first is None else [first]
    try:
        while cursor.left:
            _operate(cursor.number("<B"), cursor, stack, registers, load)
        return stack[-1] & 0xFFFF_FFFF_FFFF_FFFF
    except BREAKS:
        return None


_CONSTANTS = {0x08: "<B", 0x09: "<b", 0x0A: "<H", 0x0B: "<h", 0x0C: "<I", 0x0D: "<i", 0x0E: "<Q", 0x0F: "<q"}
_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda a, b: a & b,
    0x1C: lambda a, b: a - b,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << min(b, 64),
    0x25: lambda a, b: a >> min(b, 64),
    0x27: lambda a, b: a ^ b,
    0x29: lambda a, b: int(a == b),
    0x2A: lambda a, b: int(a >= b),
    0x2B: lambda a, b: int(a > b),
    0x2C: lambda a, b: int(a <= b),
    0x2D: lambda a, b: int(a < b),
    0x2E: lambda a, b: int(a != b),
}


def _operate(
    code: int, cursor: Cursor, stack: list[int], registers: Mapping[int, int], load: Callable[[int], int | None]
) -> None:
    if 0x30 <= code <= 0x4F:
        stack.append(code - 0x30)
    elif 0x70 <= code <= 0x8F:
        stack.append(registers[code - 0x70] + cursor.sleb())
    elif code in _CONSTANTS:
        stack.append(cursor.number(_CONSTANTS[code]))
    elif code in _BINARY:
        right, left = stack.pop(), stack.pop()
        stack.append(_BINARY[code](left, right))
    else:
        match code:
            case 0x06:
                value = load(stack.pop())
                if value is None:
                    raise ValueError("unreadable memory")
                stack.append(value)
            case 0x10:
                stack.append(cursor.uleb())
            case 0x11:
                stack.append(cursor.sleb())
            case 0x12:
                stack.append(stack[-1])
            case 0x13:
                stack.pop()
            case 0x16:
                stack[-1], stack[-2] = stack[-2], stack[-1]
            case 0x1F:
                stack[-1] = -stack[-1]
            case 0x23:
                stack[-1] += cursor.uleb()
            case 0x92:
                register = cursor.uleb()
                stack.append(registers[register] + cursor.sleb())
            case 0x96:
                pass
            case _:
                raise ValueError(f"no operation that call frames use: {code:#x}")
