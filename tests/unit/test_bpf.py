"""The filter is judged by running it: a small interpreter of classic BPF stands in for the kernel's."""

import struct

import pytest

from firedamp.trace import bpf


def run(program: bytes, number: int, arch: int = bpf.AUDIT_ARCH_X86_64) -> int:
    """The filter's answer for one call; only the instructions that it may contain are known."""
    data = struct.pack("<II56x", number, arch)
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        match code:
            case bpf.LOAD_WORD:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case bpf.JUMP_EQUAL:
                at += if_true if accumulator == operand else if_false
            case bpf.JUMP_GREATER_EQUAL:
                at += if_true if accumulator >= operand else if_false
            case bpf.RETURN:
                return int(operand)
            case _:
                raise AssertionError(f"{code:#x}: no instruction of ours")


def test_chosen_numbers_stop_and_all_others_run() -> None:
    chosen = {0, 1, 257, 450}
    program = bpf.program(chosen)
    for number in range(600):
        assert run(program, number) == (bpf.RET_TRACE | number if number in chosen else bpf.RET_ALLOW)


@pytest.mark.parametrize(("number", "arch"), [(1 | bpf.X32_SYSCALL_BIT, bpf.AUDIT_ARCH_X86_64), (1, 0x40000003)])
def test_another_abi_never_runs_by_itself(number: int, arch: int) -> None:
    assert run(bpf.program({2}), number, arch) == bpf.RET_TRACE | bpf.FOREIGN


def test_every_system_call_at_once() -> None:
    program = bpf.program(range(470))
    assert all(run(program, number) == bpf.RET_TRACE | number for number in range(470))


@pytest.mark.parametrize("numbers", [{-1}, {bpf.FOREIGN}, set(range(3000))])
def test_what_no_filter_can_hold(numbers: set[int]) -> None:
    with pytest.raises(ValueError, match="system call"):
        bpf.program(numbers)
