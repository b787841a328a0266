"""The event loop: one program and all that it starts, from its first instruction to the last death.

Children are followed by PTRACE_O_TRACEFORK and its kin; a thread becomes known by its own first stop, so it does not
matter whether that comes before or after its parent's event. A thread may be killed in any stop (ptrace.Vanished);
its death is reported by wait later. What a stop means is decided here and nowhere else; ptrace(2) is the reference.
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.outcome import Ending, Exited, Frame, Killed, Outcome, OutOfMemory, Stall, TimedOut
from firedamp.trace import bpf, launch, ptrace
from firedamp.trace.call import StoppedCall
from firedamp.trace.clock import Clock
from firedamp.trace.loop import Died, frames_that_stay
from firedamp.trace.protocol import PROCEED, Action, Execution, Trace
from firedamp.trace.ptrace import Event, Option, Registers, Vanished, WaitStatus
from firedamp.trace.spawn import Spawner
from firedamp.trace.stall import Sampler
from firedamp.trace.streams import Opened
from firedamp.trace.tracee import Exit, Tracee
from firedamp.trace.usage import high_water_bytes, usage
from firedamp.trace.witness import MOST_FATALS, Witness, is_deadly
from firedamp.unwind import Base, Unwinder
from firedamp.unwind.unwinder import STACK_LIMIT

BRK = 12
EXIT_GROUP = 231
SECCOMP_STOP = int(Event.SECCOMP) << 8 | signal.SIGTRAP  # of a wait status, above its lowest byte (ptrace(2))
OPTIONS = int(ptrace.FOLLOW | Option.TRACESECCOMP)  # numbers: flags take long to be combined
EXIT_OPTIONS = OPTIONS | int(Option.TRACEEXIT)
GROUP_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
NOTES = {
    launch.PTRACE: "ptrace: the program tries to trace; under our tracer that fails with EPERM",
    launch.IO_URING_SETUP: "io_uring_setup: requests through a ring are not system calls and were not seen",
}
FOREIGN_NOTE = "a system call of another ABI (int 0x80 or x32) was refused with ENOSYS"


class Tracer:
    """Runs Executions one after another in this thread."""

    def __init__(self) -> None:
        self._spawner = Spawner()
        self._clock = Clock()
        self._unwinder = Unwinder()

    def run(self, execution: Execution, descriptors: Mapping[int, int]) -> Trace:
        """To the end of the program; `descriptors` maps numbers in the program to numbers here."""
        if not os.path.isdir(execution.folder):  # noqa: PTH112  # for each run under a fault
            raise UsageError(f"{execution.folder}: is no folder; a program needs one to run in")
        program = launch.find_program(execution.argv, dict(execution.environment), execution.folder)
        with Opened(execution, descriptors) as opened:
            run = Run(execution, opened.pipes, self._clock, self._unwinder)
            self._follow(execution, program, opened, run)
            limit = execution.limits.output_bytes
            return run.trace(opened.captured(1, limit), opened.captured(2, limit))

    def _follow(self, execution: Execution, program: Path, opened: Opened, run: "Run") -> None:
        """From its start to its end. UsageError or EnvironmentFailure: the program never came to run."""
        pid = self._start(execution, program, opened, run)
        try:
            run.follow()
        finally:
            self._clock.stop()
            run.sweep_up()
        if not run.started:
            raise self._unstarted(execution, program, pid, run)

    def _unstarted(self, execution: Execution, program: Path, pid: int, run: "Run") -> Exception:
        failure = self._spawner.failure()
        if failure is not None:
            return launch.explain(failure, execution, program)
        return UsageError(
            f"{program}: the kernel killed process {pid} while it loaded the program ({run.ending}); "
            "it may be damaged, or too large for the limits"
        )

    def _start(self, execution: Execution, program: Path, opened: Opened, run: "Run") -> int:
        placed = (execution.argv, execution.environment, execution.folder) if execution.fixed_addresses else None
        self._unwinder.begin(placed)
        table, temporary = launch.rows(execution, program, opened.streams, self._spawner)
        try:
            pid = self._spawner.start(table)
        finally:
            for descriptor in temporary:
                os.close(descriptor)
        try:
            ptrace.seize(pid, run.options)
        except (OSError, Vanished):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        run.adopt(pid)
        self._clock.start()
        self._spawner.release()
        return pid


class Run:
    """One execution under way."""

    def __init__(
        self, execution: Execution, outside: Callable[[], frozenset[str]], clock: Clock, unwinder: Unwinder
    ) -> None:
        self._execution = execution
        self._outside = outside  # pipes whose other end somebody beyond the run may hold
        self._clock = clock
        self._unwinder = unwinder
        self._interceptor = execution.interceptor
        self._numbers = self._interceptor.numbers() if self._interceptor is not None else frozenset()
        self._passing = launch.NOTED  # these stop, but nobody decides about them
        self.options = EXIT_OPTIONS if execution.exit_stack else OPTIONS
        self._witness = Witness(self._frames, self._bases)
        self._tracees: dict[int, Tracee] = {}
        self._leader = 0
        self.started = False
        self._killing = False
        self.ending: Ending | None = None
        self._verdict: Ending | None = None  # of a limit, decided before the death that it causes
        self._begin_s = self._end_s = 0.0
        self._held_s = 0.0  # stopped for us: no time of the program's own
        self._usage: ptrace.Usage | None = None
        self._cpu_s = 0.0
        self._peak_bytes = 0
        self._exit_stack: tuple[Frame, ...] = ()
        self._stall_stack: tuple[Frame, ...] = ()
        self._sampler: Sampler | None = None
        self._foreign: dict[str, None] = {}

    # -- life ---------------------------------------------------------------------------------------------------

    def adopt(self, pid: int) -> None:
        self._leader = pid
        self._tracees[pid] = Tracee(tid=pid, leader=True)
        self._begin_s = time.monotonic()

    def follow(self) -> None:
        """Until no tracee is left."""
        clock = self._clock
        try:
            while True:
                status = ptrace.wait()
                if status is not None:
                    self._handle(status)
                if clock.due:
                    clock.run_due()
                    self._check_limits()
        except ChildProcessError:
            return

    def sweep_up(self) -> None:
        """Kill and reap whatever is left; after `follow` that is nothing, unless it was interrupted."""
        self._kill_all()
        with suppress(ChildProcessError):
            while True:
                status = ptrace.wait()
                if status is not None and status.stopped:
                    with suppress(ProcessLookupError):
                        os.kill(status.tid, signal.SIGKILL)
                    with suppress(Vanished):
                        ptrace.resume(status.tid)

    def _kill_all(self) -> None:
        self._killing = True
        for tid in self._tracees:
            with suppress(ProcessLookupError):
                os.kill(tid, signal.SIGKILL)

    def _kill_strays(self) -> None:
        """Children that CLONE_UNTRACED hid from us: we are their subreaper once the program is gone."""
        me = os.getpid()
        for word in Path(f"/proc/{me}/task/{me}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(word), signal.SIGKILL)

    def trace(self, stdout: bytes, stderr: bytes) -> Trace:
        """After the end: everything that was seen. Strikes are the interceptor's to report."""
        assert self.ending is not None
        spent = self._usage
        outcome = Outcome(
            ending=self.ending,
            stdout=stdout,
            stderr=stderr,
            cpu_s=max(self._cpu_s, spent.cpu_s if spent is not None else 0.0),
            wall_s=self._end_s - self._begin_s,
            # ru_maxrss starts at our own size, since the child shared our memory: an upper bound for short runs.
            peak_rss_bytes=self._peak_bytes or (spent.peak_rss_bytes if spent is not None else 0),
            fatals=self._witness.fatals(),
            exit_stack=self._exit_stack,
            stall_stack=self._stall_stack,
        )
        report = self._interceptor.report() if self._interceptor is not None else None
        return Trace(outcome=outcome, report=report, foreign=tuple(self._foreign))

    # -- what wait reports --------------------------------------------------------------------------------------

    def _handle(self, status: WaitStatus) -> None:
        if not status.stopped:
            self._gone(status)
            return
        tracee = self._tracees.get(status.tid)
        if tracee is None:
            tracee = self._tracees[status.tid] = Tracee(tid=status.tid)
        try:
            if self._killing:
                os.kill(status.tid, signal.SIGKILL)
                ptrace.resume(status.tid)
            elif status.raw >> 8 == SECCOMP_STOP:  # first and by a plain number: the one that comes a thousand times
                self._seccomp_stop(tracee)
            else:
                self._stopped(tracee, status)
        except (Vanished, ProcessLookupError):
            pass

    def _gone(self, status: WaitStatus) -> None:
        self._tracees.pop(status.tid, None)
        self._unwinder.forget(status.tid)
        if status.tid != self._leader or self.ending is not None:
            return
        self._end_s = time.monotonic()
        self._usage = ptrace.last_usage()
        code = status.exit_status
        self.ending = self._verdict or (Exited(status=code) if code is not None else self._death(status.death_signal))
        self._kill_all()

    def _death(self, number: int) -> Ending:
        if number == signal.SIGXCPU:
            return TimedOut(limit="cpu", stall=Stall.BUSY)  # the kernel's clock came first
        return Killed(signal=number)

    def _stopped(self, tracee: Tracee, status: WaitStatus) -> None:
        number, event = status.stop_signal, status.event
        match event:
            case Event.NONE if number == ptrace.SYSTEM_CALL_STOP:
                self._call_stop(tracee)
            case Event.NONE:
                if self.started and is_deadly(tracee.tid, number):
                    self._see(tracee)
                self._go(tracee, number)
            case Event.EXEC:
                self._exec(tracee)
            case Event.STOP if number in GROUP_STOPS:
                ptrace.listen(tracee.tid)
            case Event.STOP if self._sampler is not None:
                self._sampler.sample(tracee)
                self._go(tracee)
            case Event.EXIT:
                self._exit_event(tracee)
                ptrace.resume(tracee.tid)
            case _:
                self._go(tracee)

    def _see(self, tracee: Tracee) -> None:
        """The first look at a library's call frame information takes as long as many a program runs.

        What is more than the witness keeps counts as the program's time: else one that faults for ever would not end.
        """
        began_s = time.monotonic()
        self._witness.see(tracee.process(), tracee.tid)
        if len(self._witness.fatals()) <= MOST_FATALS:
            self._held_s += time.monotonic() - began_s

    def _go(self, tracee: Tracee, number: int = 0) -> None:
        if tracee.exit is not None or self._sampler is not None:
            ptrace.resume_to_system_call(tracee.tid, number)
        else:
            ptrace.resume(tracee.tid, number)

    def _exec(self, tracee: Tracee) -> None:
        """A thread that is no leader takes the leader's number, and its old number is never reported."""
        former = ptrace.event_message(tracee.tid)
        if former != tracee.tid:
            old = self._tracees.pop(former, None)
            tracee.exit = old.exit if old is not None else None
        self._unwinder.forget(tracee.tid)
        if tracee.tid == self._leader:
            self.started = True
        self._go(tracee)

    def _exit_event(self, tracee: Tracee) -> None:
        if tracee.process() != self._leader:
            return
        self._peak_bytes = max(self._peak_bytes, high_water_bytes(self._leader))
        if self._exit_stack or ptrace.event_message(tracee.tid) & 0x7F:
            return
        registers = Registers(tracee.tid)
        if registers.system_call == EXIT_GROUP:
            self._exit_stack = self._frames(self._leader, tracee.tid, registers)

    def _frames(self, pid: int, tid: int, registers: Registers) -> tuple[Frame, ...]:
        return self._unwinder.stack(
            pid, registers.dwarf(), lambda address, size: ptrace.read_memory(tid, address, size)
        )

    def _bases(self, pid: int, tid: int, registers: Registers, limit: int) -> tuple[Base, ...]:
        return self._unwinder.bases(
            pid, registers.dwarf(), lambda address, size: ptrace.read_memory(tid, address, size), limit
        )

    # -- system calls -------------------------------------------------------------------------------------------

    def _seccomp_stop(self, tracee: Tracee) -> None:
        if not self.started:  # our own execve
            ptrace.resume(tracee.tid)
            return
        number = ptrace.event_message(tracee.tid)
        if number in NOTES:
            self._foreign[NOTES[number]] = None
        if number not in self._numbers or self._interceptor is None:
            if number not in self._passing:  # a foreign ABI, or a filter of the program's own that nobody answers
                if number == bpf.FOREIGN:
                    self._foreign[FOREIGN_NOTE] = None
                self._skip(tracee, -errno.ENOSYS)
            self._go(tracee)
            return
        call = self._call(tracee, number)
        self._carry_out(tracee, call, self._interceptor.enter(call))

    def _call(self, tracee: Tracee, number: int) -> StoppedCall:
        return StoppedCall(tracee.tid, number, tracee.process, self._frames)

    def _carry_out(self, tracee: Tracee, call: StoppedCall, action: Action) -> None:
        if action is PROCEED:
            self._go(tracee)
        elif action.delay_entry_s > 0:
            self._clock.later(action.delay_entry_s, lambda: self._apply_late(tracee, call, action))
        else:
            self._apply(tracee, call, action)

    def _skip(self, tracee: Tracee, value: int) -> None:
        ptrace.set_system_call(tracee.tid, -1)
        ptrace.set_result(tracee.tid, value)

    def _apply_late(self, tracee: Tracee, call: StoppedCall, action: Action) -> None:
        with suppress(Vanished):
            self._apply(tracee, call, action)

    def _apply(self, tracee: Tracee, call: StoppedCall, action: Action) -> None:
        if action.suppress is not None and not (call.number == BRK and action.suppress < 0):
            self._suppress(tracee, action, action.suppress)
            return
        changes = action.arguments
        if action.suppress is not None:
            changes = ((0, 0),)  # a brk that fails returns the old break, never an errno; brk(0) asks for it
        restore = tuple((index, call.arguments[index]) for index, _ in changes)
        for index, value in changes:
            ptrace.set_argument(tracee.tid, index, value)
        if action.syscall is not None:
            ptrace.set_system_call(tracee.tid, action.syscall)
        due = Exit(
            call=call,
            replace=action.replace,
            watch=action.watch,
            signal=action.signal,
            delay_s=action.delay_exit_s,
            restore=restore,
        )
        if due != Exit(call=call):
            tracee.exit = due
        self._go(tracee)

    def _suppress(self, tracee: Tracee, action: Action, value: int) -> None:
        self._skip(tracee, value)
        if action.signal is not None:
            self._send(tracee, action.signal)
        if action.delay_exit_s > 0:
            self._clock.later(action.delay_exit_s, lambda: self._go_late(tracee))
        else:
            self._go(tracee)

    def _go_late(self, tracee: Tracee) -> None:
        with suppress(Vanished):
            self._go(tracee)

    def _send(self, tracee: Tracee, number: int) -> None:
        """To this very thread; it arrives before the next instruction of the program."""
        ptrace.send_signal(tracee.process(), tracee.tid, number)

    def _call_stop(self, tracee: Tracee) -> None:
        """The exit of a call that we changed or watch; while sampling, any entry or exit."""
        if self._sampler is not None:
            self._sampler.count(tracee)
            if not ptrace.at_exit(tracee.tid):
                self._go(tracee)
                return
        due, tracee.exit = tracee.exit, None
        if due is None:
            self._go(tracee)
            return
        if due.watch and self._interceptor is not None:
            value = ptrace.result(tracee.tid)
            self._interceptor.leave(due.call, -errno.EINTR if value in ptrace.RESTARTS else value)
        if due.replace is not None:
            ptrace.set_result(tracee.tid, due.replace)
        for index, value in due.restore:
            ptrace.set_argument(tracee.tid, index, value)
        if due.signal is not None:
            self._send(tracee, due.signal)
        if due.delay_s > 0:
            self._clock.later(due.delay_s, lambda: self._go_late(tracee))
        else:
            self._go(tracee)

    # -- limits -------------------------------------------------------------------------------------------------

    def _check_limits(self) -> None:
        if self._killing:
            self._kill_strays()
            return
        if not self.started:
            return
        if self._sampler is not None:
            if self._sampler.tick():
                self._finish_sampling(self._sampler)
            return
        limits = self._execution.limits
        used = usage({tracee.process() for tracee in self._tracees.values()})
        self._cpu_s = max(self._cpu_s, used.cpu_s)
        self._peak_bytes = max(self._peak_bytes, used.resident_bytes, high_water_bytes(self._leader))
        if used.resident_bytes > limits.memory_bytes:
            self._verdict = OutOfMemory(resident_bytes=used.resident_bytes)
            self._kill_all()
        elif used.cpu_s > limits.cpu_s:
            self._begin_sampling("cpu")
        elif time.monotonic() - self._begin_s - self._held_s > limits.wall_s:
            self._begin_sampling("wall")

    def _begin_sampling(self, limit: str) -> None:
        self._verdict = TimedOut(limit=limit, stall=Stall.WAITING)
        self._sampler = Sampler(limit, self._leader, self._tracees, self._frames, self._outside())

    def _finish_sampling(self, sampler: Sampler) -> None:
        stall, tid = sampler.stall(), sampler.most_telling()
        self._verdict = TimedOut(limit=sampler.limit, stall=stall)
        if tid is not None:
            self._stall_stack = sampler.common_stack(tid)
        if stall is Stall.BUSY and tid in self._tracees:
            self._leave_what_returns(self._tracees[tid])
        self._kill_all()

    def _leave_what_returns(self, tracee: Tracee) -> None:
        pid, tid = tracee.process(), tracee.tid
        try:
            stay = frames_that_stay(tid, lambda registers: self._bases(pid, tid, registers, STACK_LIMIT))
        except Died as death:
            self._gone(death.status)
            return
        if stay is not None:
            self._stall_stack = self._stall_stack[-stay:]
