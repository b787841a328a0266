"""DWARF expressions (DWARF 5, 2.5) as far as call frame information may use them: a stack machine on 64-bit words."""

from collections.abc import Callable

from firedamp.unwind.reader import MASK, S16, S32, S64, U16, U32, U64, Malformed, Reader

STEP_LIMIT = 1000  # real expressions have a dozen operations, and a branch may go back for ever
CONSTANTS = {0x0A: U16, 0x0B: S16, 0x0C: U32, 0x0D: S32, 0x0E: U64, 0x0F: S64, 0x03: U64}


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _divide(left: int, right: int) -> int:
    """Division that truncates, as C's."""
    dividend, divisor = _signed(left), _signed(right)
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda left, right: left & right,
    0x1B: _divide,
    0x1C: lambda left, right: left - right,
    0x1D: lambda left, right: left % right,
    0x1E: lambda left, right: left * right,
    0x21: lambda left, right: left | right,
    0x22: lambda left, right: left + right,
    0x24: lambda left, right: left << right if right < 64 else 0,
    0x25: lambda left, right: left >> right if right < 64 else 0,
    0x26: lambda left, right: _signed(left) >> min(right, 63),
    0x27: lambda left, right: left ^ right,
    0x29: lambda left, right: left == right,
    0x2A: lambda left, right: _signed(left) >= _signed(right),
    0x2B: lambda left, right: _signed(left) > _signed(right),
    0x2C: lambda left, right: _signed(left) <= _signed(right),
    0x2D: lambda left, right: _signed(left) < _signed(right),
    0x2E: lambda left, right: left != right,
}


def evaluate(
    code: bytes, register: Callable[[int], int], word: Callable[[int, int], int], stack: tuple[int, ...] = ()
) -> int:
    """The value on top when the code has ended. `word(address, size)` reads memory; Malformed for nonsense."""
    reader = Reader(code)
    values = list(stack)
    try:
        for _ in range(STEP_LIMIT):
            if reader.position >= reader.end:
                return values[-1]
            _step(reader, values, register, word)
    except (IndexError, ZeroDivisionError) as error:
        raise Malformed("expression") from error
    raise Malformed("expression without an end")


def _step(reader: Reader, values: list[int], register: Callable[[int], int], word: Callable[[int, int], int]) -> None:
    operation = reader.u8()
    match operation:
        case _ if 0x30 <= operation <= 0x4F:  # DW_OP_lit0 .. 31
            values.append(operation - 0x30)
        case _ if 0x70 <= operation <= 0x8F:  # DW_OP_breg0 .. 31
            values.append((register(operation - 0x70) + reader.sleb()) & MASK)
        case _ if operation in BINARY:
            right, left = values.pop(), values.pop()
            values.append(int(BINARY[operation](left, right)) & MASK)
        case _ if operation in CONSTANTS:
            values.append(reader.fixed(CONSTANTS[operation]) & MASK)
        case 0x06:  # DW_OP_deref
            values.append(word(values.pop(), 8))
        case 0x94:  # DW_OP_deref_size
            values.append(word(values.pop(), reader.u8()))
        case 0x08:  # DW_OP_const1u
            values.append(reader.u8())
        case 0x09:  # DW_OP_const1s
            values.append(reader.s8() & MASK)
        case 0x10:  # DW_OP_constu
            values.append(reader.uleb())
        case 0x11:  # DW_OP_consts
            values.append(reader.sleb() & MASK)
        case 0x12:  # DW_OP_dup
            values.append(values[-1])
        case 0x13:  # DW_OP_drop
            values.pop()
        case 0x14:  # DW_OP_over
            values.append(values[-2])
        case 0x15:  # DW_OP_pick
            values.append(values[-1 - reader.u8()])
        case 0x16:  # DW_OP_swap
            values[-1], values[-2] = values[-2], values[-1]
        case 0x17:  # DW_OP_rot
            values[-1], values[-2], values[-3] = values[-2], values[-3], values[-1]
        case 0x19:  # DW_OP_abs
            values.append(abs(_signed(values.pop())))
        case 0x1F:  # DW_OP_neg
            values.append(-values.pop() & MASK)
        case 0x20:  # DW_OP_not
            values.append(~values.pop() & MASK)
        case 0x23:  # DW_OP_plus_uconst
            values.append((values.pop() + reader.uleb()) & MASK)
        case 0x28:  # DW_OP_bra
            target = reader.fixed(S16)
            reader.position += target if values.pop() else 0
        case 0x2F:  # DW_OP_skip
            target = reader.fixed(S16)
            reader.position += target
        case 0x92:  # DW_OP_bregx
            number = reader.uleb()
            values.append((register(number) + reader.sleb()) & MASK)
        case 0x96:  # DW_OP_nop
            pass
        case _:
            raise Malformed(f"operation {operation:#x}")
