"""Which memory one x86-64 instruction reads and writes: enough of a decoder to say how a fault happened.

The page-fault error code, which would tell, is not in the registers that ptrace shows. Covered are the forms that
compilers emit for loads, stores, calls, the stack, string instructions and SSE/AVX moves; whatever is not understood
gives no touches, and the access stays unknown. Opcode maps: Intel SDM, volume 2, appendix A.
"""

from dataclasses import dataclass
from typing import Protocol

from firedamp.outcome import Access
from firedamp.trace.ptrace import ENCODING, WORD

READ, WRITE = Access.READ, Access.WRITE
LARGEST = 64  # bytes: an AVX-512 register


class Registers(Protocol):
    @property
    def instruction(self) -> int: ...
    def named(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    address: int
    size: int
    access: Access


@dataclass(slots=True)
class _Cursor:
    code: bytes
    at: int = 0

    def byte(self) -> int:
        value = self.code[self.at]
        self.at += 1
        return value

    def signed(self, size: int) -> int:
        value = int.from_bytes(self.code[self.at : self.at + size], "little", signed=True)
        self.at += size
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prefixes:
    rex: int = 0
    size16: bool = False
    segment: str | None = None
    vector: bool = False  # VEX or EVEX
    map: int = 0  # 0: one-byte opcodes, 1: 0F, 2: 0F 38, 3: 0F 3A
    evex: bool = False


_LEGACY = {0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x66, 0x67}


def _prefixes(cursor: _Cursor) -> _Prefixes:
    size16, segment, rex = False, None, 0
    while cursor.code[cursor.at] in _LEGACY:
        match cursor.byte():
            case 0x66:
                size16 = True
            case 0x64:
                segment = "fs_base"
            case 0x65:
                segment = "gs_base"
    head = cursor.code[cursor.at]
    if head & 0xF0 == 0x40:
        rex = cursor.byte()
        head = cursor.code[cursor.at]
    if head in (0xC4, 0xC5, 0x62):
        cursor.byte()
        first = cursor.byte()
        extension = ~first >> 5 & 7  # R X B, stored inverted
        map_ = 1 if head == 0xC5 else first & 0x1F if head == 0xC4 else first & 7
        if head == 0xC5:
            extension &= 4
        cursor.at += {0xC5: 0, 0xC4: 1, 0x62: 2}[head]
        return _Prefixes(rex=0x40 | extension, segment=segment, vector=True, map=map_, evex=head == 0x62)
    map_ = 0
    if head == 0x0F:
        cursor.byte()
        map_ = {0x38: 2, 0x3A: 3}.get(cursor.code[cursor.at], 1)
        if map_ > 1:
            cursor.byte()
    return _Prefixes(rex=rex, size16=size16, segment=segment, map=map_)


def _operand(cursor: _Cursor, prefixes: _Prefixes, registers: Registers, immediate: int) -> tuple[int, int | None]:
    """The reg field of a ModRM byte, and the effective address if its other operand is memory."""
    modrm = cursor.byte()
    mode, field, base = modrm >> 6, modrm >> 3 & 7, modrm & 7
    if mode == 3:
        return field, None
    address = 0
    relative = False
    if base == 4:
        sib = cursor.byte()
        index = (sib >> 3 & 7) | (prefixes.rex & 2) << 2
        if index != 4:
            address += registers.named(ENCODING[index]) << (sib >> 6)
        base = sib & 7
        if base == 5 and mode == 0:
            address += cursor.signed(4)
        else:
            address += registers.named(ENCODING[base | (prefixes.rex & 1) << 3])
    elif base == 5 and mode == 0:
        relative = True
    else:
        address += registers.named(ENCODING[base | (prefixes.rex & 1) << 3])
    if mode == 1:
        # EVEX counts a displacement byte in units of the operand, which we do not know: assume whole vectors.
        address += cursor.signed(1) * (LARGEST if prefixes.evex else 1)
    elif mode == 2 or relative:
        address += cursor.signed(4)
    if relative:
        address += registers.instruction + cursor.at + immediate
    if prefixes.segment is not None:
        address += registers.named(prefixes.segment)
    return field, address & WORD


def touches(code: bytes, registers: Registers) -> tuple[Touch, ...]:
    """Every memory access of the instruction at the start of `code`, in no order; empty when it is not understood."""
    cursor = _Cursor(code)
    try:
        prefixes = _prefixes(cursor)
        opcode = cursor.byte()
        if prefixes.map == 0 and not prefixes.vector:
            return _one_byte(opcode, cursor, prefixes, registers)
        return _two_byte(opcode, cursor, prefixes, registers)
    except IndexError:  # the code ends in an unmapped page
        return ()


def _push(registers: Registers) -> Touch:
    return Touch(address=(registers.named("rsp") - 8) & WORD, size=8, access=WRITE)


def _pop(registers: Registers, register: str = "rsp") -> Touch:
    return Touch(address=registers.named(register), size=8, access=READ)


def _one_byte(opcode: int, cursor: _Cursor, prefixes: _Prefixes, registers: Registers) -> tuple[Touch, ...]:
    size = 1 if opcode & 1 == 0 else 2 if prefixes.size16 else 8 if prefixes.rex & 8 else 4
    match opcode:
        case _ if 0x50 <= opcode <= 0x57 or opcode in (0x68, 0x6A, 0xE8, 0x9C):
            return (_push(registers),)
        case _ if 0x58 <= opcode <= 0x5F or opcode in (0xC2, 0xC3, 0x9D):
            return (_pop(registers),)
        case 0xC9:  # leave
            return (_pop(registers, "rbp"),)
        case 0xA4 | 0xA5 | 0xAA | 0xAB | 0xA6 | 0xA7 | 0xAC | 0xAD | 0xAE | 0xAF:
            return _string(opcode, size, registers)
        case _ if opcode < 0x40 and opcode & 7 < 4:  # add or adc sbb and sub xor cmp
            return _modrm(cursor, prefixes, registers, size, READ if opcode & 2 or opcode >= 0x38 else WRITE)
        case 0x80 | 0x81 | 0x83:
            immediate = min(size, 4) if opcode == 0x81 else 1
            return _modrm(cursor, prefixes, registers, size, WRITE, reading=frozenset({7}), immediate=immediate)
        case 0x84 | 0x85 | 0x8A | 0x8B | 0x63:
            return _modrm(cursor, prefixes, registers, 4 if opcode == 0x63 else size, READ)
        case 0x69 | 0x6B:
            return _modrm(cursor, prefixes, registers, size, READ, immediate=1 if opcode == 0x6B else min(size, 4))
        case 0x86 | 0x87 | 0x88 | 0x89:
            return _modrm(cursor, prefixes, registers, size, WRITE)
        case 0xC0 | 0xC1 | 0xD0 | 0xD1 | 0xD2 | 0xD3:
            return _modrm(cursor, prefixes, registers, size, WRITE, immediate=int(opcode < 0xD0))
        case 0xC6 | 0xC7:
            return _modrm(cursor, prefixes, registers, size, WRITE, immediate=min(size, 4))
        case 0xA0 | 0xA1 | 0xA2 | 0xA3:  # movabs: the address itself follows
            address = cursor.signed(8) & WORD
            return (Touch(address=address, size=size, access=READ if opcode < 0xA2 else WRITE),)
        case 0x8F:
            return (_pop(registers), *_modrm(cursor, prefixes, registers, 8, WRITE))
        case 0xF6 | 0xF7:
            immediate = min(size, 4) if cursor.code[cursor.at] >> 3 & 7 < 2 else 0
            reading = frozenset({0, 1, 4, 5, 6, 7})
            return _modrm(cursor, prefixes, registers, size, WRITE, reading=reading, immediate=immediate)
        case 0xFE | 0xFF:
            return _group_five(cursor, prefixes, registers, size)
        case _ if 0xD8 <= opcode <= 0xDF:  # x87: loads have an even reg field here, stores 2, 3, 6 and 7 of D9 to DF
            storing = frozenset({1, 2, 3, 6, 7}) if opcode & 1 else frozenset()
            reading = frozenset(range(8)) - storing
            return _modrm(cursor, prefixes, registers, 10, WRITE, reading=reading)
    return ()


def _group_five(cursor: _Cursor, prefixes: _Prefixes, registers: Registers, size: int) -> tuple[Touch, ...]:
    field = cursor.code[cursor.at] >> 3 & 7
    found = _modrm(cursor, prefixes, registers, 8 if field >= 2 else size, READ if field >= 2 else WRITE)
    return (*found, _push(registers)) if field in (2, 6) else found


def _string(opcode: int, size: int, registers: Registers) -> tuple[Touch, ...]:
    source = Touch(address=registers.named("rsi"), size=size, access=READ)
    target = registers.named("rdi")
    match opcode & 0xFE:
        case 0xA4:
            return (source, Touch(address=target, size=size, access=WRITE))
        case 0xAA:
            return (Touch(address=target, size=size, access=WRITE),)
        case 0xA6:
            return (source, Touch(address=target, size=size, access=READ))
        case 0xAC:
            return (source,)
    return (Touch(address=target, size=size, access=READ),)


# Of map 0F: stores of SSE and AVX, setcc, and read-modify-write of integers.
_STORES = frozenset(
    {0x11, 0x13, 0x17, 0x29, 0x2B, 0x7E, 0x7F, 0xD6, 0xE7, 0xC3, 0xB0, 0xB1, 0xC0, 0xC1, 0xAB, 0xB3, 0xBB, 0xC7}
    | {0xA4, 0xA5, 0xAC, 0xAD, *range(0x90, 0xA0)}
)
_NO_OPERAND = frozenset({0x05, 0x0B, 0x31, 0xA2, 0x77, *range(0x80, 0x90), *range(0xC8, 0xD0)})
_STORES_3A = frozenset({0x14, 0x15, 0x16, 0x17, 0x19, 0x39, 0x1D, 0x1B, 0x3B})
_LEGACY_SIZES = {0xB6: 1, 0xBE: 1, 0xB7: 2, 0xBF: 2}


def _two_byte(opcode: int, cursor: _Cursor, prefixes: _Prefixes, registers: Registers) -> tuple[Touch, ...]:
    if prefixes.map == 1 and opcode in _NO_OPERAND:
        return ()
    immediate = int(
        prefixes.map == 3 or (prefixes.map == 1 and opcode in (0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC6))
    )
    storing = (prefixes.map == 1 and opcode in _STORES) or (prefixes.map == 3 and opcode in _STORES_3A)
    if prefixes.map == 2 and prefixes.vector and opcode in (0x2E, 0x2F, 0x8E):  # masked stores
        storing = True
    reading = frozenset({4}) if opcode == 0xBA else frozenset()
    size = _LEGACY_SIZES.get(opcode, LARGEST) if prefixes.map == 1 else LARGEST
    access = WRITE if storing or (prefixes.map == 1 and opcode == 0xBA) else READ
    return _modrm(cursor, prefixes, registers, size, access, reading=reading, immediate=immediate)


def _modrm(
    cursor: _Cursor,
    prefixes: _Prefixes,
    registers: Registers,
    size: int,
    access: Access,
    *,
    reading: frozenset[int] = frozenset(),
    immediate: int = 0,
) -> tuple[Touch, ...]:
    """The memory operand, if there is one; `reading` lists the reg fields that only read."""
    field, address = _operand(cursor, prefixes, registers, immediate)
    if address is None:
        return ()
    return (Touch(address=address, size=size, access=READ if field in reading else access),)
