"""What a run that ran out of time is doing: asked of its threads over a few ticks before they are killed.

Each round interrupts every thread (PTRACE_INTERRUPT), which shows its registers and its stack; in between the threads
run on with PTRACE_SYSCALL, so that finished calls can be counted. Processor time is the scheduler's own figure, and so
is the time in which a thread wanted a processor that others had: on a crowded machine who is busy gets little of it.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from firedamp.outcome import Frame, Stall
from firedamp.trace import ptrace
from firedamp.trace.clock import TICK_S
from firedamp.trace.ptrace import Registers, Vanished
from firedamp.trace.tracee import Tracee
from firedamp.unwind.image import Image
from firedamp.unwind.reader import Malformed

ROUNDS = 4  # samples of each thread
TICKS_PER_ROUND = 2
MOST_TICKS = 100  # where threads do not get the processor that they want, there is less to see in a tick
CROWDED_SHARE = 0.3  # of the time so far, in which a thread wanted a processor that others had
ENOUGH_S = 2 * TICK_S  # of processor time, that a busy thread is known by
MOST_STACKS = 16  # threads whose stacks are taken; unwinding a thousand would take seconds

# Over the window of ROUNDS * TICKS_PER_ROUND ticks or more:
BUSY_SHARE = 0.3  # of one processor while it was to be had, all threads together
CALLS_GOING_ON = 3  # finished calls that make a livelock; a sleeping thread finishes none
CALLS_PER_S_WHILE_BUSY = 500  # a computation that also writes now and then is busy, no livelock

READ, WRITE, WAIT4, FUTEX, WAITID, READV, WRITEV = 0, 1, 61, 202, 247, 19, 20
FUTEX_COMMAND = 0x7F  # without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME
FUTEX_WAITS = frozenset({0, 6, 9, 13})  # WAIT, LOCK_PI, WAIT_BITSET, LOCK_PI2
WNOHANG = 1
FCNTL, FLOCK = 72, 73
LOCK_NB, F_SETLKW = 4, 7  # asm-generic/fcntl.h


@dataclass(slots=True, kw_only=True)
class _Thread:
    stacks: list[tuple[Frame, ...]] = field(default_factory=list)
    waiting: list[bool] = field(default_factory=list)  # for somebody of the same run, at each sample
    system_call: int = -1  # at the last sample
    calls: int = 0
    cpu_s: float = 0.0
    crowded_out_s: float = 0.0
    before: tuple[float, float] = 0.0, 0.0  # both, when the window began


def processor_s(tid: int) -> tuple[float, float]:
    """How long a thread had a processor, and how long it waited for one (Documentation/scheduler/sched-stats.rst)."""
    try:
        with open(f"/proc/{tid}/schedstat", "rb") as file:
            had_ns, waited_ns, _ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0.0, 0.0
    return had_ns / 1e9, waited_ns / 1e9


def holders(path: str) -> set[int]:
    """Processes that hold locks of a file, by /proc/locks (proc_locks(5)); -1 stands for an open file description."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a /proc/PID/fd link must be followed, not resolved by text
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    rows = (line.split() for line in lines)
    return {int(row[4]) for row in rows if row[1] != "->" and row[5] == file}


class Sampler:
    def __init__(
        self,
        limit: str,
        leader: int,
        tracees: Mapping[int, Tracee],
        frames: Callable[[int, int, Registers], tuple[Frame, ...]],
        outside: frozenset[str],
    ) -> None:
        self.limit = limit
        self._leader = leader
        self._tracees = tracees
        self._frames = frames
        self._outside = outside
        self._threads = {tid: _Thread(before=processor_s(tid)) for tid in tracees}
        self._ticks = 0
        self._began_s = time.monotonic()
        self._window_s = 0.0

    def tick(self) -> bool:
        """Once per tick of the clock; true when there is enough to judge."""
        if self._ticks % TICKS_PER_ROUND == 0:
            if self._has_seen_enough():
                self._end_window()
                return True
            for tid in list(self._tracees):
                with suppress(Vanished, OSError):
                    ptrace.interrupt(tid)
        self._ticks += 1
        return False

    def _has_seen_enough(self) -> bool:
        if self._ticks < ROUNDS * TICKS_PER_ROUND:
            return False
        return self._ticks >= MOST_TICKS or not any(map(self._is_crowded_out, self._threads.keys() & self._tracees))

    def _is_crowded_out(self, tid: int) -> bool:
        """Not even stopped for a sample yet, or waited much of the time and had little."""
        thread = self._threads[tid]
        had_s, waited_s = (now - before for now, before in zip(processor_s(tid), thread.before, strict=True))
        waits = waited_s > CROWDED_SHARE * (time.monotonic() - self._began_s)
        return not thread.waiting or (waits and had_s < ENOUGH_S)

    def _end_window(self) -> None:
        self._window_s = time.monotonic() - self._began_s
        for tid, thread in self._threads.items():
            now = processor_s(tid)
            thread.cpu_s, thread.crowded_out_s = (max(0.0, b - a) for a, b in zip(thread.before, now, strict=True))

    def sample(self, tracee: Tracee) -> None:
        """At the stop that an interrupt brought."""
        thread = self._threads.setdefault(tracee.tid, _Thread())
        registers = Registers(tracee.tid)
        thread.waiting.append(self._waits_inside(tracee, registers))
        thread.system_call = registers.system_call
        if len(self._threads) <= MOST_STACKS or tracee.tid == self._leader:
            thread.stacks.append(self._frames(tracee.process(), tracee.tid, registers))

    def count(self, tracee: Tracee) -> None:
        """At a system call stop."""
        if ptrace.at_exit(tracee.tid) and ptrace.result(tracee.tid) not in ptrace.RESTARTS:
            self._threads.setdefault(tracee.tid, _Thread()).calls += 1

    def _waits_inside(self, tracee: Tracee, registers: Registers) -> bool:
        """Whether only another thread of this run could end the call that this one sleeps in."""
        arguments = registers.arguments
        match registers.system_call:
            case number if number == FUTEX:
                return arguments[1] & FUTEX_COMMAND in FUTEX_WAITS and arguments[3] == 0
            case number if number == WAIT4:
                return not arguments[2] & WNOHANG
            case number if number == WAITID:
                return not arguments[3] & WNOHANG
            case number if number in (READ, WRITE, READV, WRITEV):
                try:
                    name = str(Path(f"/proc/{tracee.tid}/fd/{arguments[0]}").readlink())
                except OSError:
                    return False
                return name.startswith("pipe:") and name not in self._outside
            case number if number == FLOCK:
                return not arguments[1] & LOCK_NB and self._locked_inside(tracee, arguments[0])
            case number if number == FCNTL:
                return arguments[1] == F_SETLKW and self._locked_inside(tracee, arguments[0])
        return False

    def _locked_inside(self, tracee: Tracee, fd: int) -> bool:
        """Are all locks of the file held by processes of this run?"""
        held = holders(f"/proc/{tracee.tid}/fd/{fd}")
        return bool(held) and held <= {each.process() for each in self._tracees.values()}

    def stall(self) -> Stall:
        free_s = {tid: max(TICK_S, self._window_s - each.crowded_out_s) for tid, each in self._threads.items()}
        threads = [thread for tid, thread in self._threads.items() if thread.waiting]
        calls = sum(thread.calls for thread in threads)
        busy = sum(thread.cpu_s / free_s[tid] for tid, thread in self._threads.items()) >= BUSY_SHARE
        if calls >= (CALLS_PER_S_WHILE_BUSY * max(free_s.values()) if busy else CALLS_GOING_ON):
            return Stall.LIVELOCK
        if busy:
            return Stall.BUSY
        if threads and all(all(thread.waiting) for thread in threads):
            return Stall.DEADLOCK
        return Stall.WAITING

    def most_telling(self) -> int | None:
        """The busiest thread tells most; where none is busy, one that does not wait for a child."""
        candidates = {tid: thread for tid, thread in self._threads.items() if thread.stacks}

        def weight(tid: int) -> tuple[float, bool, bool]:
            thread = candidates[tid]
            busy_s = thread.cpu_s if thread.cpu_s > TICK_S else 0.0
            return busy_s, thread.system_call not in (WAIT4, WAITID), tid == self._leader

        return max(candidates, key=weight, default=None)

    def common_stack(self, tid: int) -> tuple[Frame, ...]:
        """The outermost functions that all samples of a thread share, innermost first."""
        return _common(self._threads[tid].stacks)


def _common(stacks: list[tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """A frame stays while all samples are in the same function; where they differ in it, its entry stands for it."""
    shared: list[Frame] = []
    for frames in zip(*(reversed(stack) for stack in stacks), strict=False):
        first = frames[0]
        if any(frame != first for frame in frames):
            starts = {(frame.module, _function_start(frame)) for frame in frames}
            start = _function_start(first)
            if len(starts) > 1 or start is None:
                break
            first = replace(first, offset=start)
        shared.append(first)
    return tuple(reversed(shared))


def _function_start(frame: Frame) -> int | None:
    if not frame.module.startswith("/"):
        return None
    try:
        return _image(frame.module).function_start(frame.offset)
    except (OSError, Malformed):
        return None


@lru_cache(maxsize=32)
def _image(path: str) -> Image:
    return Image.of_file(path)
