"""Where a function keeps its canary: read from the machine code of the check that failed.

GCC checks by `mov SLOT, %reg; sub %fs:0x28, %reg; jne` (before GCC 11 by `xor`), clang by
`mov %fs:0x28, %reg; cmp SLOT, %reg; jne`, with SLOT relative to %rbp or %rsp. Anything else is unknown.
"""

from dataclasses import dataclass

from firedamp.canary.line import check_address, code_between

GUARD_OPERAND = b"\x25\x28\x00\x00\x00"  # SIB and displacement of %fs:0x28 without a base
GUARD_BYTES = 9  # 64 REX opcode ModRM, then the operand
LONGEST_BYTES = 8 + GUARD_BYTES
FS, LOAD, COMPARE, SUBTRACT, EXCLUSIVE_OR = 0x64, 0x8B, 0x3B, 0x2B, 0x33  # opcodes: Intel SDM, volume 2
RBP, RSP = 5, 4  # in ModRM.rm; 4 asks for a SIB byte, and 0x24 there is %rsp alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """At `offset` from %rbp, or from %rsp as it is at the check."""

    from_stack_pointer: bool
    offset: int


def find_slot(module: str, start: int, inside_call: int) -> Slot | None:
    """Of the function from `start` whose call of __stack_chk_fail ends at `inside_call`, as a caller's frame has it."""
    check = check_address(module, start, inside_call)
    if check is None:
        return None
    code = code_between(module, max(start, check - LONGEST_BYTES), check)
    guard = code[-GUARD_BYTES:]
    if (
        len(guard) == GUARD_BYTES
        and guard[0] == FS
        and guard[2] in (SUBTRACT, EXCLUSIVE_OR)
        and guard[4:] == GUARD_OPERAND
    ):
        return _operand(code[:-GUARD_BYTES], LOAD)
    return _operand(code, COMPARE)


def _operand(code: bytes, opcode: int) -> Slot | None:
    """The memory operand of the 64-bit instruction that `code` ends with."""
    for size, base, wide in ((4, RBP, False), (7, RBP, True), (5, RSP, False), (8, RSP, True)):
        last = code[-size:]
        if len(last) < size or last[0] not in (0x48, 0x4C) or last[1] != opcode:
            continue
        if last[2] & 0xC7 != (0x80 if wide else 0x40) | base or (base == RSP and last[3] != 0x24):
            continue
        field = last[-4:] if wide else last[-1:]
        return Slot(from_stack_pointer=base == RSP, offset=int.from_bytes(field, "little", signed=True))
    return None
