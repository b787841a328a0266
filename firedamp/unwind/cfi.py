"""Call frame information: from the entry that covers an address to the one row of its table (DWARF 5, 6.4)."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from firedamp.unwind.reader import OMIT, U16, U32, U64, Malformed, Reader

RETURN_ADDRESS, STACK_POINTER = 16, 7  # DWARF register numbers, System V ABI for x86-64, figure 3.36
REGISTERS = 17  # what lies above are vector and segment registers: no frame is found by them
STATE_LIMIT = 64  # of DW_CFA_remember_state, nested


class How(Enum):
    """Where the caller's register is."""

    UNDEFINED = auto()
    OFFSET = auto()  # in memory at CFA + offset
    VALUE_OFFSET = auto()  # it is CFA + offset
    REGISTER = auto()  # in another register
    EXPRESSION = auto()  # in memory at the expression's value
    VALUE_EXPRESSION = auto()  # it is the expression's value


Rule = tuple[How, int, bytes]  # how, offset or register, expression


@dataclass(frozen=True, slots=True)
class Row:
    """How to leave a function from one address. The CFA is `register + offset`, or the expression's value."""

    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    rules: tuple[tuple[int, Rule], ...]  # registers without a rule keep their value
    return_register: int
    signal_frame: bool  # the caller was interrupted: its address is no return address


@dataclass(frozen=True, slots=True)
class Common:
    """A common information entry."""

    code_factor: int
    data_factor: int
    return_register: int
    pointer_encoding: int
    augmented: bool
    signal_frame: bool
    instructions: tuple[int, int]  # from, to: positions in the section


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame description entry: [start, end) of virtual addresses."""

    start: int
    end: int
    common: Common
    instructions: tuple[int, int]


class Section:
    """The bytes of .eh_frame or .debug_frame, and the virtual address of the first one."""

    def __init__(self, data: bytes, base: int, *, debug: bool = False) -> None:
        self.data = data
        self.base = base
        self.debug = debug
        self.common = lru_cache(maxsize=256)(self._common)

    def entry(self, position: int) -> Entry | None:
        """The frame description entry that starts there; None for a common one. Malformed if it is neither."""
        reader = Reader(self.data, position, base=self.base)
        size, wide = reader.length()
        start = reader.position
        reader.end = min(reader.end, start + size)
        identity = reader.fixed(U64 if wide and self.debug else U32)
        if identity == self._common_identity(wide):
            return None
        common = self.common(identity if self.debug else start - identity)
        first = reader.encoded(common.pointer_encoding)
        count = reader.encoded(common.pointer_encoding & 0x0F)
        if common.augmented:
            reader.block()
        return Entry(first, first + count, common, (reader.position, reader.end))

    def entries(self) -> list[tuple[int, int, int]]:
        """(start, end, position) of all, sorted; up to the first one that is malformed."""
        found: list[tuple[int, int, int]] = []
        position = 0
        try:
            while position < len(self.data):
                reader = Reader(self.data, position)
                size, _ = reader.length()
                if size == 0:
                    if not self.debug:
                        break
                elif (entry := self.entry(position)) is not None:
                    found.append((entry.start, entry.end, position))
                position = reader.position + size
        except Malformed:
            pass
        return sorted(found)

    def _common_identity(self, wide: bool) -> int:
        if not self.debug:
            return 0
        return 0xFFFFFFFFFFFFFFFF if wide else 0xFFFFFFFF

    def _common(self, position: int) -> Common:
        reader = Reader(self.data, position, base=self.base)
        size, wide = reader.length()
        reader.end = min(reader.end, reader.position + size)
        if reader.fixed(U64 if wide and self.debug else U32) != self._common_identity(wide):
            raise Malformed("no common information entry")
        version = reader.u8()
        augmentation = reader.text()
        if version >= 4:
            reader.fixed(U16)  # sizes of addresses and of segments
        code_factor, data_factor = reader.uleb(), reader.sleb()
        return_register = reader.u8() if version == 1 else reader.uleb()
        encoding, signal_frame = 0, False
        if augmentation.startswith(b"z"):
            inner = Reader(self.data, *self._span(reader), base=self.base)
            for letter in augmentation[1:]:
                match chr(letter):
                    case "R":
                        encoding = inner.u8()
                    case "L":
                        inner.u8()
                    case "P":
                        personality = inner.u8()
                        if personality != OMIT:
                            inner.encoded(personality & 0x7F)
                    case "S":
                        signal_frame = True
                    case "B":
                        pass
                    case _:
                        raise Malformed(f"augmentation {augmentation!r}")
        elif augmentation:
            raise Malformed(f"augmentation {augmentation!r}")
        return Common(
            code_factor,
            data_factor,
            return_register,
            encoding,
            augmentation.startswith(b"z"),
            signal_frame,
            (reader.position, reader.end),
        )

    @staticmethod
    def _span(reader: Reader) -> tuple[int, int]:
        """The bytes of the block at the cursor, which moves behind them."""
        block = reader.block()
        return reader.position - len(block), reader.position

    def row(self, entry: Entry, address: int) -> Row:
        """Malformed when the instructions make no sense."""
        common = entry.common
        table = _Table(common)
        table.run(Reader(self.data, *common.instructions, base=self.base), entry.start, address)
        table.initial = dict(table.rules)
        table.run(Reader(self.data, *entry.instructions, base=self.base), entry.start, address)
        rules = tuple((register, rule) for register, rule in table.rules.items() if register < REGISTERS)
        return Row(*table.cfa, rules, common.return_register, common.signal_frame)


class _Table:
    """The machine that runs call frame instructions up to one address."""

    def __init__(self, common: Common) -> None:
        self.common = common
        self.cfa: tuple[int, int, bytes] = (STACK_POINTER, 8, b"")
        self.rules: dict[int, Rule] = {}
        self.initial: dict[int, Rule] = {}
        self.states: list[tuple[tuple[int, int, bytes], dict[int, Rule]]] = []

    def run(self, reader: Reader, location: int, address: int) -> None:
        while reader.position < reader.end:
            advanced = self._step(reader, location)
            if advanced > address:
                return
            location = advanced

    def _step(self, reader: Reader, location: int) -> int:
        """One instruction; returns the location that the following ones describe."""
        operation = reader.u8()
        low = operation & 0x3F
        match operation & 0xC0:
            case 0x40:  # DW_CFA_advance_loc
                return location + low * self.common.code_factor
            case 0x80:  # DW_CFA_offset
                self.rules[low] = How.OFFSET, reader.uleb() * self.common.data_factor, b""
                return location
            case 0xC0:  # DW_CFA_restore
                self._restore(low)
                return location
        match operation:
            case 0x01:  # DW_CFA_set_loc
                return reader.encoded(self.common.pointer_encoding)
            case 0x02:  # DW_CFA_advance_loc1
                return location + reader.u8() * self.common.code_factor
            case 0x03:  # DW_CFA_advance_loc2
                return location + reader.fixed(U16) * self.common.code_factor
            case 0x04:  # DW_CFA_advance_loc4
                return location + reader.fixed(U32) * self.common.code_factor
        self._define(operation, reader)
        return location

    def _define(self, operation: int, reader: Reader) -> None:
        match operation:
            case 0x00:  # DW_CFA_nop
                pass
            case 0x0A:  # DW_CFA_remember_state
                if len(self.states) >= STATE_LIMIT:
                    raise Malformed("states")
                self.states.append((self.cfa, dict(self.rules)))
            case 0x0B:  # DW_CFA_restore_state
                if not self.states:
                    raise Malformed("no state was remembered")
                self.cfa, self.rules = self.states.pop()
            case 0x0C:  # DW_CFA_def_cfa
                self.cfa = reader.uleb(), reader.uleb(), b""
            case 0x0D:  # DW_CFA_def_cfa_register
                self.cfa = reader.uleb(), self.cfa[1], b""
            case 0x0E:  # DW_CFA_def_cfa_offset
                self.cfa = self.cfa[0], reader.uleb(), b""
            case 0x0F:  # DW_CFA_def_cfa_expression
                self.cfa = 0, 0, reader.block()
            case 0x12:  # DW_CFA_def_cfa_sf
                self.cfa = reader.uleb(), reader.sleb() * self.common.data_factor, b""
            case 0x13:  # DW_CFA_def_cfa_offset_sf
                self.cfa = self.cfa[0], reader.sleb() * self.common.data_factor, b""
            case 0x2E:  # DW_CFA_GNU_args_size: of interest to exceptions only
                reader.uleb()
            case _:
                self._define_register(operation, reader.uleb(), reader)

    def _define_register(self, operation: int, register: int, reader: Reader) -> None:
        factor = self.common.data_factor
        match operation:
            case 0x05:  # DW_CFA_offset_extended
                self.rules[register] = How.OFFSET, reader.uleb() * factor, b""
            case 0x06:  # DW_CFA_restore_extended
                self._restore(register)
            case 0x07:  # DW_CFA_undefined
                self.rules[register] = How.UNDEFINED, 0, b""
            case 0x08:  # DW_CFA_same_value
                self.rules.pop(register, None)
            case 0x09:  # DW_CFA_register
                self.rules[register] = How.REGISTER, reader.uleb(), b""
            case 0x10:  # DW_CFA_expression
                self.rules[register] = How.EXPRESSION, 0, reader.block()
            case 0x11:  # DW_CFA_offset_extended_sf
                self.rules[register] = How.OFFSET, reader.sleb() * factor, b""
            case 0x14:  # DW_CFA_val_offset
                self.rules[register] = How.VALUE_OFFSET, reader.uleb() * factor, b""
            case 0x15:  # DW_CFA_val_offset_sf
                self.rules[register] = How.VALUE_OFFSET, reader.sleb() * factor, b""
            case 0x16:  # DW_CFA_val_expression
                self.rules[register] = How.VALUE_EXPRESSION, 0, reader.block()
            case 0x2F:  # DW_CFA_GNU_negative_offset_extended
                self.rules[register] = How.OFFSET, -reader.uleb() * factor, b""
            case _:
                raise Malformed(f"call frame instruction {operation:#x}")

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)
