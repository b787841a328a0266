"""The seccomp filter that makes the chosen system calls stop, and lets all others run at full speed.

Order and meaning: another ABI than x86-64 (int 0x80, x32) stops with FOREIGN as its message; a chosen number stops with
the number as its message; the rest is allowed. Without a tracer a stop becomes ENOSYS, so a filter fails closed.
"""

import struct
from collections.abc import Iterable

# linux/audit.h, linux/seccomp.h, linux/bpf_common.h
AUDIT_ARCH_X86_64 = 0xC000003E
X32_SYSCALL_BIT = 0x40000000
RET_TRACE = 0x7FF00000
RET_ALLOW = 0x7FFF0000
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_GREATER_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

OFFSET_NUMBER, OFFSET_ARCH = 0, 4  # struct seccomp_data

FOREIGN = 0xFFFF  # the message of a call in a foreign ABI; no x86-64 call has this number
MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)


def program(numbers: Iterable[int]) -> bytes:
    """struct sock_filter[] that stops at `numbers`. The kernel finds out by itself which numbers it always allows."""
    chosen = sorted(set(numbers))
    if chosen and not 0 <= chosen[0] <= chosen[-1] < FOREIGN:
        raise ValueError(f"{chosen[0]}..{chosen[-1]}: a system call's number lies in 0..{FOREIGN - 1}")
    code = [
        _instruction(LOAD_WORD, OFFSET_ARCH),
        _instruction(JUMP_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        _instruction(RETURN, RET_TRACE | FOREIGN),
        _instruction(LOAD_WORD, OFFSET_NUMBER),
        _instruction(JUMP_GREATER_EQUAL, X32_SYSCALL_BIT, 0, 1),
        _instruction(RETURN, RET_TRACE | FOREIGN),
    ]
    for number in chosen:
        code.append(_instruction(JUMP_EQUAL, number, 0, 1))
        code.append(_instruction(RETURN, RET_TRACE | number))
    code.append(_instruction(RETURN, RET_ALLOW))
    if len(code) > MOST_INSTRUCTIONS:
        raise ValueError(f"{len(chosen)} system calls: a filter holds at most {(MOST_INSTRUCTIONS - 7) // 2}")
    return b"".join(code)
