"""Run as a script, prints JSON.

    python stops.py compare EVERY LIMIT COMMAND [ARGUMENT...]   stacks at system calls, against libunwind's
    python stops.py time LIMIT COMMAND [ARGUMENT...]            what a stack and its digest cost, seen before
    python stops.py crash COMMAND [ARGUMENT...]                 the stack at the first deadly signal, with names

A process of its own, since only the tracer may wait for a tracee and a test runner has threads.
"""

import ctypes
import ctypes.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from firedamp.symbols import resolve
from firedamp.unwind import Unwinder, site_digest

PTRACE_TRACEME, PTRACE_GETREGS, PTRACE_SETOPTIONS, PTRACE_SYSCALL = 0, 12, 0x4200, 24
OPTIONS = 1 | 0x100000  # TRACESYSGOOD, EXITKILL
DEPTH = 64
SYSCALL_STOP = 0x85
DEADLY = (4, 5, 6, 7, 8, 11)
# struct user_regs_struct (sys/user.h) -> DWARF numbers
USER_REGS = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
             "orig_rax", "rip", "cs", "eflags", "rsp")  # fmt: skip
DWARF = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
         "rip")  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Oracle:
    """libunwind-ptrace(3)."""

    def __init__(self) -> None:
        self.remote = ctypes.CDLL(ctypes.util.find_library("unwind-x86_64"), mode=ctypes.RTLD_GLOBAL)
        self.ptrace = ctypes.CDLL(ctypes.util.find_library("unwind-ptrace"))
        self.ptrace._UPT_create.restype = ctypes.c_void_p
        self.remote._Ux86_64_create_addr_space.restype = ctypes.c_void_p
        accessors = ctypes.addressof(ctypes.c_char.in_dll(self.ptrace, "_UPT_accessors"))
        self.space = ctypes.c_void_p(self.remote._Ux86_64_create_addr_space(ctypes.c_void_p(accessors), 0))

    def addresses(self, pid: int) -> list[int]:
        context = ctypes.c_void_p(self.ptrace._UPT_create(pid))
        cursor = ctypes.create_string_buffer(4096)
        found: list[int] = []
        value = ctypes.c_uint64()
        if self.remote._Ux86_64_init_remote(cursor, self.space, context) == 0:
            while len(found) < DEPTH:
                self.remote._Ux86_64_get_reg(cursor, 16, ctypes.byref(value))
                if not value.value:
                    break
                found.append(value.value)
                if self.remote._Ux86_64_step(cursor) <= 0:
                    break
        self.ptrace._UPT_destroy(context)
        return found


def places(pid: int, addresses: list[int]) -> list[tuple[str, int]]:
    """By the load address: every file here is position independent and starts with virtual address 0."""
    bases: list[tuple[int, int, int, str]] = []
    loaded: dict[str, int] = {}
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            span, _, offset, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            path = name[0].strip() if name else "[anon]"
            if int(offset, 16) == 0:
                loaded[path] = start
            bases.append((start, end, loaded.get(path, 0), path))
    found = []
    for index, address in enumerate(addresses):
        place = address - (index > 0)
        for start, end, base, path in bases:
            if start <= place < end:
                found.append((path, place - base))
    return found


AtStop = Callable[[int, dict[int, int], Callable[[int, int], bytes], int], None]  # 0: a system call, else a signal


def trace(command: list[str], at_stop: AtStop) -> None:
    pid = os.fork()
    if pid == 0:
        libc.ptrace(PTRACE_TRACEME, 0, None, None)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0), os.dup2(null, 1), os.dup2(null, 2)
        os.execvp(command[0], command)
    os.waitpid(pid, 0)
    libc.ptrace(PTRACE_SETOPTIONS, pid, None, OPTIONS)
    memory = [os.open(f"/proc/{pid}/mem", os.O_RDONLY)]
    regs = (ctypes.c_uint64 * 27)()
    signal = 0
    while True:
        libc.ptrace(PTRACE_SYSCALL, pid, None, signal)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return
        signal = os.WSTOPSIG(status)
        signal = 0 if signal == SYSCALL_STOP else signal
        libc.ptrace(PTRACE_GETREGS, pid, None, regs)
        named = dict(zip(USER_REGS, regs, strict=False))
        if named["orig_rax"] in (59, 322) and named["rax"] == 0:
            os.close(memory.pop())
            memory.append(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
        registers = {number: named[name] for number, name in enumerate(DWARF)}
        at_stop(pid, registers, lambda address, size: os.pread(memory[0], size, address), signal)


def compare(every: int, limit: int, command: list[str]) -> object:
    oracle, unwinder = Oracle(), Unwinder()
    count = compared = 0
    hot_s = cold_s = 0.0
    different: list[object] = []
    seen: set[object] = set()

    def at_stop(pid: int, registers: dict[int, int], read: Callable[[int, int], bytes], signal: int) -> None:
        nonlocal count, compared, hot_s, cold_s
        count += 1
        if signal or count % every or compared >= limit:
            return
        start = time.perf_counter()
        frames = unwinder.stack(pid, registers, read, DEPTH)
        middle = time.perf_counter()
        again = unwinder.stack(pid, registers, read, DEPTH)
        hot_s += time.perf_counter() - middle
        cold_s += middle - start
        mine = [(frame.module, frame.offset) for frame in frames]
        theirs = places(pid, oracle.addresses(pid))
        compared += 1
        seen.add(frames)
        if mine != theirs or again != frames:
            different.append([mine, theirs])

    trace(command, at_stop)
    times = {"hot_us": 1e6 * hot_s / max(1, compared), "cold_us": 1e6 * cold_s / max(1, compared)}
    return {"compared": compared, "distinct": len(seen), **times, "different": different}


def cost(limit: int, command: list[str]) -> object:
    unwinder = Unwinder()
    taken: list[float] = []
    seen: set[str] = set()

    def at_stop(pid: int, registers: dict[int, int], read: Callable[[int, int], bytes], signal: int) -> None:
        began = time.perf_counter()
        digest = site_digest("call", unwinder.stack(pid, registers, read, DEPTH))
        if digest in seen and len(taken) < limit:
            taken.append(time.perf_counter() - began)
        seen.add(digest)

    trace(command, at_stop)
    return {"hot_us": round(1e6 * statistics.median(taken), 2), "stacks": len(taken), "distinct": len(seen)}


def crash(command: list[str]) -> object:
    unwinder = Unwinder()
    found: list[object] = []

    def at_stop(pid: int, registers: dict[int, int], read: Callable[[int, int], bytes], signal: int) -> None:
        if signal in DEADLY and not found:
            frames = resolve(unwinder.stack(pid, registers, read, DEPTH))
            found.extend([frame.module, frame.function, frame.line, frame.own, frame.offset] for frame in frames)

    trace(command, at_stop)
    return found


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["compare", every, limit, *command]:
            print(json.dumps(compare(int(every), int(limit), command)))
        case ["time", limit, *command]:
            print(json.dumps(cost(int(limit), command)))
        case ["crash", *command]:
            print(json.dumps(crash(command)))
