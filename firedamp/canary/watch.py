"""What the canary of each process and thread is while a program runs, and whether the program gives it away.

An Interceptor for the tracer: every call that writes, and every end, is a look at the thread's control block. Changes
nothing and judges nothing. The kernel gives a canary at execve(2) (AT_RANDOM, getauxval(3)); fork(2) copies it.
"""

from dataclasses import dataclass, field

from firedamp.outcome import Frame
from firedamp.trace.protocol import PROCEED, Action, Call

GUARD_OFFSET = 0x28  # tcbhead_t.stack_guard (glibc, sysdeps/x86_64/nptl/tls.h)
WRITE, PWRITE, WRITEV, SENDTO, EXIT, EXIT_GROUP = 1, 18, 20, 44, 60, 231  # asm/unistd_64.h
SEARCHED_BYTES = 1 << 20  # of one call
MOST_VECTORS = 64
IOVEC_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One thread with its canary, at its first look."""

    pid: int
    tid: int
    parent_pid: int
    canary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The canary's seven random bytes in what a process wrote."""

    pid: int
    syscall: str
    descriptor: int
    offset: int  # in the bytes of that call
    stack: tuple[Frame, ...]  # raw


@dataclass(slots=True)
class CanaryWatch:
    """Pickled to the tracer; `report` comes back: (sightings, leaks)."""

    sightings: dict[tuple[int, int], Sighting] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)

    def numbers(self) -> frozenset[int]:
        return frozenset({WRITE, PWRITE, WRITEV, SENDTO, EXIT, EXIT_GROUP})

    def enter(self, call: Call) -> Action:
        guard = call.memory(call.thread_pointer() + GUARD_OFFSET, 8) if call.thread_pointer() else b""
        if len(guard) == 8:
            self._see(call, int.from_bytes(guard, "little"))
            if call.number not in (EXIT, EXIT_GROUP):
                self._search(call, guard[1:])
        return PROCEED

    def leave(self, call: Call, result: int) -> None:
        """Nothing is watched."""

    def report(self) -> object:
        return tuple(self.sightings.values()), tuple(self.leaks)

    def _see(self, call: Call, canary: int) -> None:
        sighting = Sighting(pid=call.pid, tid=call.tid, parent_pid=_parent(call.pid), canary=canary)
        self.sightings[call.pid, call.tid] = sighting  # the last look: after an execve(2) it is another program's

    def _search(self, call: Call, random: bytes) -> None:
        offset = _written(call).find(random) if any(random) else -1
        if offset >= 0:
            descriptor = call.arguments[0]
            self.leaks.append(
                Leak(pid=call.pid, syscall=call.name, descriptor=descriptor, offset=offset, stack=call.stack())
            )


def _written(call: Call) -> bytes:
    _, address, size = call.arguments[:3]
    if call.number != WRITEV:
        return call.memory(address, min(size, SEARCHED_BYTES))
    vectors = call.memory(address, IOVEC_BYTES * min(size, MOST_VECTORS))
    words = [int.from_bytes(vectors[at : at + 8], "little") for at in range(0, len(vectors) - 7, 8)]
    pairs = zip(words[::2], words[1::2], strict=False)
    return b"".join(call.memory(start, min(length, SEARCHED_BYTES)) for start, length in pairs)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])  # proc_pid_stat(5), field 4
    except (OSError, ValueError, IndexError):
        return 0
