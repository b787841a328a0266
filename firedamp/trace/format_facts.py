"""What FormatGuard's runtime says when it stops a process: struct firedamp_format_facts of firedamp/runtime/format.h.

The signal itself carries its address (sigqueue(3)), so neither a symbol nor an output of the program is asked. That it
came from the runtime, and not from a program that imitates it, the guard sees on the stack.
"""

import struct

from firedamp.outcome import FormatMisuse
from firedamp.trace import ptrace

SI_QUEUE = -1  # asm-generic/siginfo.h
MAGIC = b"FDFORMAT"
FACTS = struct.Struct("<8s4i2q24s40s256s")


def format_misuse(tid: int, info: ptrace.SignalInfo) -> FormatMisuse | None:
    """None where the signal carries nothing of ours."""
    if info.code != SI_QUEUE:
        return None
    data = ptrace.read_memory(tid, info.value, FACTS.size)
    if len(data) < FACTS.size or not data.startswith(MAGIC):
        return None
    _, asked, given, argument, constant, alike_at, alike_bytes, call, part, text = FACTS.unpack(data)
    return FormatMisuse(
        call=_text(call),
        format=_text(text),
        asked=asked,
        given=None if given < 0 else given,
        argument=argument or None,
        constant=bool(constant),
        part=_text(part),
        alike=(alike_at, alike_bytes) if alike_bytes > 0 else None,
    )


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")
