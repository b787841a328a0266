"""In which of its functions a busy thread stays: those that it calls from there come back, again and again.

Samples alone cannot tell: a loop that spends its time in what it calls is mostly seen there. So each frame is waited
for at its return address, by a breakpoint of the processor (Intel SDM, volume 3B, 18.2), the innermost first; the
first that does not come back is the one. All other threads are left as they are: the run is over.
"""

import signal
import time
from collections.abc import Callable
from contextlib import suppress

from firedamp.trace import ptrace
from firedamp.trace.ptrace import Registers, Vanished, WaitStatus
from firedamp.trace.stall import processor_s
from firedamp.unwind.memory import CALL_BYTES, is_behind_call
from firedamp.unwind.unwinder import SIGRETURN, STACK_LIMIT, Base

PATIENCE_S = 0.1  # of processor time, for one frame
LONGEST_S = 2.0  # for all of them, by the clock
LOOK_S = 0.001
WORD_BYTES = 8


class Died(Exception):
    """The thread is gone. Its `status` was reported to us, and will be to nobody else."""

    def __init__(self, status: WaitStatus) -> None:
        super().__init__(status.tid)
        self.status = status


def frames_that_stay(tid: int, bases: Callable[[Registers], tuple[Base, ...]]) -> int | None:
    """How many there are, the outermost included; None where that cannot be said. Stops the thread; Died is raised."""
    try:
        ptrace.interrupt(tid)
        if _next_stop(tid, time.monotonic() + LONGEST_S) is None:
            return None
        frames = bases(Registers(tid))
        return _walk_out(tid, frames) if len(frames) < STACK_LIMIT else None
    except (Vanished, OSError):  # EIO: a machine without debug registers
        return None


def _walk_out(tid: int, frames: tuple[Base, ...]) -> int | None:
    deadline = time.monotonic() + LONGEST_S
    try:
        for inner, (_, _, base) in enumerate(frames):
            if base is None:
                return None
            comes_back = _comes_back(tid, base, deadline)
            if comes_back is None:
                return None
            if not comes_back:
                return len(frames) - inner
    finally:
        with suppress(Vanished):
            ptrace.clear_breakpoint(tid)
    return None


def _comes_back(tid: int, base: int, deadline: float) -> bool | None:
    """Whether the frame below `base` is left in time; None: something else happened first."""
    target = int.from_bytes(ptrace.read_memory(tid, base - WORD_BYTES, WORD_BYTES), "little")
    if not _is_returned_to(tid, target):
        return True  # what a signal interrupted: its frame is left by sigreturn(2), once the handler has come back
    ptrace.set_breakpoint(tid, target)
    patience = processor_s(tid)[0] + PATIENCE_S
    number = 0
    while True:
        ptrace.resume(tid, number)
        status = _next_stop(tid, deadline, patience)
        if status is None:
            return None if time.monotonic() > deadline else False
        number = 0 if status.event or status.stop_signal == signal.SIGTRAP else status.stop_signal
        if status.event or number:
            continue
        registers = Registers(tid)
        if registers.instruction != target:
            return None
        if registers.stack_pointer >= base:
            return True  # else a deeper call of the same function, made at the same place


def _is_returned_to(tid: int, address: int) -> bool:
    before = ptrace.read_memory(tid, address - CALL_BYTES, CALL_BYTES)
    return is_behind_call(before) or ptrace.read_memory(tid, address, len(SIGRETURN)) == SIGRETURN


def _next_stop(tid: int, deadline: float, processor_deadline: float | None = None) -> WaitStatus | None:
    """None, with the thread stopped: in time there was none."""
    while time.monotonic() <= deadline:
        if (status := ptrace.poll(tid)) is not None:
            return _stopped(status)
        if processor_deadline is not None and processor_s(tid)[0] >= processor_deadline:
            break
        time.sleep(LOOK_S)
    ptrace.interrupt(tid)
    _stopped(ptrace.wait_for(tid))
    return None


def _stopped(status: WaitStatus) -> WaitStatus:
    if not status.stopped:
        raise Died(status)
    return status
