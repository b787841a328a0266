"""The line of a function's canary check.

clang puts the call of __stack_chk_fail behind the function, with no line of its own. The jump to it stands where the
check is made: at the function's return.
"""

import functools
import os

from elftools.common.exceptions import ELFError

CALL_BYTES = 5  # call rel32
FARTHEST_BYTES = 1 << 20  # of one function


def check_address(module: str, start: int, inside_call: int) -> int | None:
    """The last conditional jump of the function from `start` to its call of __stack_chk_fail; None: there is none.

    `inside_call` is the address of the call's last byte, as a caller's frame has it.
    """
    try:
        return _search(module, os.stat(module).st_mtime_ns, start, inside_call + 1 - CALL_BYTES)  # noqa: PTH116
    except (ELFError, OSError, ValueError):
        return None


@functools.lru_cache(maxsize=256)
def _search(module: str, mtime_ns: int, start: int, call: int) -> int | None:
    code = code_between(module, start, call)
    for at in range(len(code) - 2, -1, -1):
        if code[at] == 0x75:  # jne rel8
            size, field = 2, code[at + 1 : at + 2]
        elif code[at : at + 2] == b"\x0f\x85":  # jne rel32
            size, field = 6, code[at + 2 : at + 6]
        else:
            continue
        if start + at + size + int.from_bytes(field, "little", signed=True) == call:
            return start + at
    return None


def code_between(module: str, start: int, end: int) -> bytes:
    """The bytes of a file at these virtual addresses, none where it has none. OSError, ELFError: it cannot be read."""
    if not 0 <= end - start <= FARTHEST_BYTES:
        return b""
    from elftools.elf.elffile import ELFFile  # takes 50 ms, and most runs have no such frame

    with open(module, "rb") as stream:
        for segment in ELFFile(stream).iter_segments("PT_LOAD"):
            if segment["p_vaddr"] <= start < segment["p_vaddr"] + segment["p_filesz"]:
                stream.seek(segment["p_offset"] + start - segment["p_vaddr"])
                return stream.read(end - start)
    return b""
