"""What a deadly signal tells when it is about to be delivered, whether the program handles it or not."""

import signal
from collections.abc import Callable
from signal import Signals

from firedamp.outcome import SMASHED, Access, Fatal, Frame, StackScene
from firedamp.trace import ptrace
from firedamp.trace.abort_message import abort_message
from firedamp.trace.access import Touch, touches
from firedamp.trace.call import caught_signals, ends_by
from firedamp.trace.format_facts import format_misuse
from firedamp.trace.ptrace import Registers, SignalInfo
from firedamp.trace.thread_stack import exhausted, overrun
from firedamp.unwind import Base

FATAL = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
# They end a program that does not expect them, and often come from its own timers and broken pipes.
ENDING = frozenset(
    {
        signal.SIGPIPE,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
SI_KERNEL = 0x80
FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS})
ADDRESSED = FAULTS | {signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
GUARD_OFFSET = 0x28  # of the canary in the thread's control block: tcbhead_t of glibc (sysdeps/x86_64/nptl/tls.h)
SCENE_BYTES = 256 * 1024  # of the stack, from the abort up to the frames that called the smashed one
SCENE_FRAMES = 16  # glibc has seven of its own above the smashed one
RETURNS = (b"\xc3", b"\xc2", b"\xf3\xc3")  # ret, ret imm16, rep ret
LONGEST_INSTRUCTION = 15  # Intel SDM, volume 2, section 2.3.11

# A program may live on its own SIGSEGVs (garbage collectors, the JVM): the first ones and the last one are enough.
MOST_FATALS = 8


def is_deadly(tid: int, number: int) -> bool:
    """At a signal-delivery stop: is it one to be seen?"""
    return number in FATAL or (number in ENDING and ends_by(tid, number))


class Witness:
    """Collects the Fatals of one run, in order of delivery."""

    def __init__(
        self,
        frames: Callable[[int, int, Registers], tuple[Frame, ...]],
        bases: Callable[[int, int, Registers, int], tuple[Base, ...]],
    ) -> None:
        self._frames = frames
        self._bases = bases
        self._first: list[Fatal] = []
        self._last: tuple[int, SignalInfo, Registers] | None = None
        self._final: Fatal | None = None

    def see(self, pid: int, tid: int) -> None:
        """At a signal-delivery stop of one of FATAL, or of one of ENDING that ends the program."""
        fatal = self._examine(pid, tid)
        if len(self._first) < MOST_FATALS:
            self._first.append(fatal)
        else:
            self._final = fatal

    def fatals(self) -> tuple[Fatal, ...]:
        return (*self._first, *(() if self._final is None else (self._final,)))

    def _examine(self, pid: int, tid: int) -> Fatal:
        info = ptrace.signal_info(tid)
        number = Signals(info.signal)
        handled = bool(caught_signals(tid) >> (number - 1) & 1)
        full = len(self._first) < MOST_FATALS or not handled
        registers = Registers(tid)
        from_kernel = info.code > 0
        touch = self._touch(tid, info, registers) if number in FAULTS and from_kernel else None
        known = from_kernel and number in ADDRESSED and info.code != SI_KERNEL
        address = info.address if known else (touch.address if touch is not None else None)
        message = abort_message(pid, tid) if number == signal.SIGABRT else None
        return Fatal(
            signal=number,
            code=info.code,
            address=address,
            access=touch.access if touch is not None else None,
            abort_message=message,
            format_misuse=format_misuse(tid, info) if number == signal.SIGABRT else None,
            handled=handled,
            stack_exhausted=(
                number in FAULTS and address is not None and exhausted(pid, address, registers.stack_pointer)
            ),
            stack_overrun=(
                number in FAULTS
                and address is not None
                and touch is not None
                and touch.access is Access.WRITE
                and overrun(pid, address, registers.stack_pointer)
            ),
            stack=self._frames(pid, tid, registers) if full else (),
            scene=self._scene(pid, tid, registers) if full and (message or "").startswith(SMASHED) else None,
        )

    def _scene(self, pid: int, tid: int, registers: Registers) -> StackScene:
        guard = ptrace.read_memory(tid, registers.named("fs_base") + GUARD_OFFSET, 8)
        start = registers.stack_pointer
        return StackScene(
            start=start,
            memory=ptrace.read_memory(tid, start, SCENE_BYTES),
            canary=int.from_bytes(guard, "little") if len(guard) == 8 else None,
            bases=self._bases(pid, tid, registers, SCENE_FRAMES),
        )

    def _touch(self, tid: int, info: SignalInfo, registers: Registers) -> Touch | None:
        """The access that faulted. A non-canonical address comes as SI_KERNEL and without the address."""
        if info.code != SI_KERNEL and info.address == registers.instruction:
            return Touch(address=info.address, size=1, access=Access.EXEC)
        code = ptrace.read_memory(tid, registers.instruction, LONGEST_INSTRUCTION)
        if info.code == SI_KERNEL and code.startswith(RETURNS):
            target = int.from_bytes(ptrace.read_memory(tid, registers.stack_pointer, 8), "little")
            if not _canonical(target):
                return Touch(address=target, size=1, access=Access.EXEC)
        found = touches(code, registers)
        if info.code == SI_KERNEL:
            wild = [touch for touch in found if not _canonical(touch.address)]
            return wild[0] if wild else None
        return next((touch for touch in found if touch.address <= info.address < touch.address + touch.size), None)


def _canonical(address: int) -> bool:
    return -(1 << 47) <= _signed(address) < 1 << 47


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
