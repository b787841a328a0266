"""Did a fault come from a stack that has no room left? Decided from the mappings around the fault."""

from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
# Below its stack a function touches the red zone (128 bytes) and what a call pushes; between the stack pointer and the
# fault may lie one page that a probing prologue (-fstack-clash-protection) is about to touch.
BELOW_POINTER = 2 * PAGE
# The kernel keeps this gap below a growing stack (Documentation/admin-guide/kernel-parameters.txt, stack_guard_gap).
GUARD_GAP = 256 * PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapping:
    start: int
    end: int
    rights: str
    name: str


def _mappings(pid: int) -> list[_Mapping]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        start, _, end = span.partition("-")
        found.append(_Mapping(start=int(start, 16), end=int(end, 16), rights=rights, name="".join(name)))
    return found


def overrun(pid: int, address: int, stack_pointer: int) -> bool:
    """The fault lies right behind the upper end of the stack in use: who writes upwards without end comes there."""
    inside = next((m for m in _mappings(pid) if m.start <= stack_pointer < m.end), None)
    return inside is not None and "w" in inside.rights and inside.end <= address < inside.end + PAGE


def exhausted(pid: int, address: int, stack_pointer: int) -> bool:
    """The fault lies near the stack pointer, in the guard below a stack or beyond what a growing stack may have."""
    if address < stack_pointer - BELOW_POINTER:
        return False
    mappings = _mappings(pid)
    above = next((m for m in mappings if m.start > address), None)
    inside = next((m for m in mappings if m.start <= address < m.end), None)
    if inside is not None:  # a thread's stack: its guard page has no rights, and the stack follows at once
        following = next((m for m in mappings if m.start == inside.end), None)
        return "w" not in inside.rights and following is not None and "w" in following.rights
    # The main stack grows by itself, so a fault right below it means that the kernel refused.
    # The address belongs to this stack when the stack pointer does, or has just left it.
    return (
        above is not None
        and above.name == "[stack]"
        and stack_pointer < above.end
        and (address >= above.start - GUARD_GAP or stack_pointer < above.start)
    )
