"""One allocation of glibc as one event, though it is one to seven system calls.

In the environment that `variables` gives, glibc's malloc keeps no heap: every allocation is an mmap(2) of its own, and
every growth of one an mremap(2). So each has a call stack, and fails by malloc's own code when the kernel refuses.
malloc tries again then - brk(2), a larger mmap, another arena - before it returns NULL: all of that is one allocation.

Allocators of the program's own and other C libraries are not looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from firedamp.outcome import Frame
from firedamp.symbols import resolve_frame
from firedamp.trace.protocol import Call
from firedamp.unwind.image import Image
from inject.decide.attributes import View
from inject.policy.model import Policy, Rule
from inject.policy.names import ALLOCATION

VARIABLE: Final = "GLIBC_TUNABLES"
# glibc manual, "Memory Allocation Tunables". From mmap_threshold on a chunk is mapped by itself while the heap holds no
# free one, and mmap_max such chunks may live at once: fewer than vm.max_map_count (65530), which the program's files
# and stacks need as well. With one arena no thread maps a heap for itself.
TUNABLES: Final = {
    "glibc.malloc.mmap_threshold": "1",
    "glibc.malloc.mmap_max": "60000",
    "glibc.malloc.arena_max": "1",
}
LIBC: Final = re.compile(r"libc(\.so\.6|-2\.\d+\.so)")
# malloc(3), posix_memalign(3); with the names that debug information has for them
FUNCTION: Final = re.compile(
    r"(__GI_)?(__libc_|__)?(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|p?valloc)"
)
# memalign(3) and aligned_alloc(3) end in a jump to a function without a public name, which posix_memalign(3) calls
ALIGNED: Final = ("memalign", "posix_memalign")
BRANCHES: Final = re.compile(rb"[\xe8\xe9](?=(....))", re.S)  # call rel32, jmp rel32 (Intel SDM, volume 2)
MAP_ANONYMOUS: Final = 0x20  # linux/mman.h
WITHOUT_FILE: Final = 0xFFFFFFFF  # -1 as an int in its register

Stack = tuple[Frame, ...]


def variables(policy: Policy, environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment of a program under this policy has to hold; nothing without a rule on allocations."""
    return tuned(environment) if concerns(policy) else {}


def concerns(policy: Policy) -> bool:
    return any(isinstance(rule, Rule) and rule.syscall == ALLOCATION for rule in policy.rules)


def tuned(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's own tunables are kept, and ours prevail: glibc takes the last one of a name."""
    given = (part for part in environment.get(VARIABLE, "").split(":") if part.partition("=")[0] not in TUNABLES)
    return {VARIABLE: ":".join((*filter(None, given), *(f"{name}={value}" for name, value in TUNABLES.items())))}


class Allocation(View):
    """A call of malloc(3) or its kin, as a filter sees it: without arguments, but with a site and callers."""

    def __init__(self, call: Call, stack: Stack, activation: "Activation", *, begins: bool) -> None:
        super().__init__(call)
        self.name = ALLOCATION
        self.stack = stack
        self.begins = begins  # else it goes on: the same call of malloc asks the kernel once more
        self._activation = activation

    @property
    def denied(self) -> bool:
        return self._activation.denied

    def deny(self) -> None:
        """From now on until malloc has returned."""
        self._activation.denied = True


@dataclass(slots=True)
class Activation:
    """One call of the allocator, from outside: who called it, and the ways by which it came to the kernel."""

    stack: Stack
    last: Stack  # the allocator's inner frames at its last call
    ways: set[Stack]
    denied: bool = False

    def goes_on(self, way: Stack, inner: Stack) -> bool:
        """malloc never comes twice by one way. After a success it only goes on if that was for the thread's cache:
        tcache_init calls _int_malloc as malloc does, from one frame further in."""
        return way not in self.ways and (self.denied or inner == self.last[:-1])


@dataclass(slots=True)
class Allocations:
    """Tells allocations apart, in each thread by itself."""

    activations: dict[int, Activation] = field(default_factory=dict)

    def is_denied(self, tid: int) -> bool:
        """Was the thread's last allocation? It may be at work still."""
        activation = self.activations.get(tid)
        return activation is not None and activation.denied

    def find(self, call: Call) -> Allocation | None:
        """The allocation that a memory call serves; None when the program or the loader asks for itself."""
        if not is_anonymous(call):
            return None
        stack = call.stack()
        bounds = _bounds(stack)
        if bounds is None:
            return None
        first, last = bounds
        way, inner, outer = stack[: last + 1], stack[:first], (entry(stack[last]), *stack[last + 1 :])
        known = self.activations.get(call.tid)
        if known is not None and known.stack == outer and known.goes_on(way, inner):
            known.ways.add(way)
            known.last = inner
            return Allocation(call, outer, known, begins=False)
        begun = self.activations[call.tid] = Activation(stack=outer, last=inner, ways={way})
        return Allocation(call, outer, begun, begins=True)


def is_anonymous(call: Call) -> bool:
    """Could this be malloc's, and fail it? It maps no files, brk(0) only asks where the heap ends, and a block that
    cannot be made smaller stays as it is."""
    arguments = call.arguments
    match call.name:
        case "mmap":
            return bool(arguments[3] & MAP_ANONYMOUS) and arguments[4] & WITHOUT_FILE == WITHOUT_FILE
        case "mremap":
            return arguments[2] > arguments[1]
        case "brk":
            return arguments[0] != 0
    return False


def _bounds(stack: Stack) -> tuple[int, int] | None:
    """Of the allocator's functions on the stack (realloc may call malloc): the innermost and the outermost."""
    first: int | None = None
    for depth, frame in enumerate(stack):
        if is_allocator(frame):
            first = depth if first is None else first
        elif first is not None:
            return first, depth - 1
        elif not is_libc(frame.module):
            return None
    return None if first is None else (first, len(stack) - 1)


@lru_cache(maxsize=4096)
def is_allocator(frame: Frame) -> bool:
    if not is_libc(frame.module):
        return False
    if FUNCTION.fullmatch(resolve_frame(frame).function or "") is not None:
        return True
    return entry(frame).offset in behind_memalign(frame.module)


@lru_cache(maxsize=8)
def behind_memalign(module: str) -> frozenset[int]:
    """Where the functions begin that memalign and posix_memalign have in common."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    text = Image.of_file(module).section(b".text")
    try:
        with open(module, "rb") as file:
            symbols = ELFFile(file).get_section_by_name(".dynsym")
            if text is None or not isinstance(symbols, SymbolTableSection):
                return frozenset()
            spans = {symbol.name: (symbol["st_value"], symbol["st_size"]) for symbol in symbols.iter_symbols()}
    except (OSError, ELFError):
        return frozenset()
    address, code = text
    return frozenset.intersection(*(_branches(code, address, *spans.get(name, (0, 0))) for name in ALIGNED))


def _branches(code: bytes, address: int, start: int, size: int) -> frozenset[int]:
    """Where a function's calls and jumps lead; a byte that only looks like one leads nowhere in particular."""
    found = BRANCHES.finditer(code, max(start - address, 0), max(start + size - address, 0))
    return frozenset(address + each.end() + 4 + int.from_bytes(each[1], "little", signed=True) for each in found)


@lru_cache(maxsize=4096)
def entry(frame: Frame) -> Frame:
    """Where its function begins: from where inside malloc it is that memory is asked for makes no difference."""
    return Frame(module=frame.module, offset=frame.offset - (resolve_frame(frame).function_offset or 0), own=frame.own)


@lru_cache(maxsize=64)
def is_libc(module: str) -> bool:
    return LIBC.fullmatch(module.rpartition("/")[2]) is not None
