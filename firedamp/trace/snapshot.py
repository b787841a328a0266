"""Many runs of one program that begin alike: the beginning runs once, and each run leaves it as a copy.

The original is an ordinary run. Where one of the runs is to differ, at the entry of a system call, the original makes a
clone(2) instead, without knowing; the copy makes the call again, under what was decided for it, and runs to its end
like any tracee. What it shares with the original (files, offsets) is then put back, and the original goes on.
What cannot be shared and put back is an obstacle; those runs are left to a fresh process, with the reason.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from firedamp.trace import launch, ptrace
from firedamp.trace.call import Stacks, StoppedCall
from firedamp.trace.clock import Clock
from firedamp.trace.obstacle import OTHERS, WATCHED, obstacle, tie
from firedamp.trace.protocol import (
    Action,
    Branching,
    Call,
    Execution,
    Interceptor,
    Left,
    Snapshot,
    Snapshots,
    Verdict,
)
from firedamp.trace.ptrace import Event, Registers, Vanished, WaitStatus
from firedamp.trace.shared_state import Shared, Unrestorable
from firedamp.trace.streams import Opened
from firedamp.trace.tracee import Tracee
from firedamp.trace.tracer import Run, Tracer
from firedamp.unwind import Unwinder

CLONE = 56
CLONE_PTRACE, CLONE_PARENT, CLONE_UNTRACED = 0x2000, 0x8000, 0x800000  # linux/sched.h
# Our child, not the original's; ours from its first instruction; and no event of the original's tells of it.
COPY_FLAGS = CLONE_PARENT | CLONE_PTRACE | CLONE_UNTRACED | signal.SIGCHLD

Captured = Callable[[], tuple[bytes, bytes]]
# These take a name away: unlink unlinkat rmdir rename renameat renameat2
TAKES_NAMES = frozenset({87, 263, 84, 82, 264, 316})
NOT_REACHED = "the original did not come there"
DISTURBED = "the original was disturbed"


class Common:
    """The Interceptor of the original: `branching`, as far as all runs are alike."""

    def __init__(self, branching: Branching) -> None:
        self._branching = branching

    def numbers(self) -> frozenset[int]:
        return self._branching.numbers() | WATCHED | TAKES_NAMES

    def enter(self, call: Call) -> Action:
        raise AssertionError("Original decides")

    def leave(self, call: Call, result: int) -> None:
        self._branching.leave(call, result)

    def report(self) -> None:
        return


class Copy(Run):
    """One run from its branch on."""

    def __init__(self, original: "Original", interceptor: Interceptor, action: Action) -> None:
        execution = replace(original.execution, interceptor=interceptor)
        super().__init__(execution, original.outside, original.clock, original.unwinder)
        self.started = True
        self._action: Action | None = action
        self._passing = original.stopping  # they stop for the sake of other runs
        self._original = original.leader
        self._shared = original.shared
        self._foreign = dict(original.foreign)

    def follow(self) -> None:
        """Until nothing of this run is left; the original is there all the time."""
        clock = self._clock
        while self._tracees:
            status = ptrace.wait()
            if status is not None:
                self._handle(status)
            if clock.due:
                clock.run_due()
                self._check_limits()
                self._bury()

    def _bury(self) -> None:
        """Whom nobody will report any more."""
        if self._killing:
            for tid in tuple(self._tracees):
                if not Path(f"/proc/{tid}").exists():
                    del self._tracees[tid]

    def _kill_strays(self) -> None:
        me = os.getpid()
        for word in Path(f"/proc/{me}/task/{me}/children").read_text().split():
            if int(word) != self._original:
                with suppress(ProcessLookupError):
                    os.kill(int(word), signal.SIGKILL)

    def _stopped(self, tracee: Tracee, status: WaitStatus) -> None:
        if status.event in (Event.FORK, Event.VFORK, Event.CLONE):
            child = ptrace.event_message(tracee.tid)  # it is of this run before it was heard of
            self._tracees.setdefault(child, Tracee(tid=child))
        super()._stopped(tracee, status)

    def _seccomp_stop(self, tracee: Tracee) -> None:
        number = ptrace.event_message(tracee.tid)
        if number in TAKES_NAMES:
            self._shared.step_aside()
        if self._action is not None:  # the call at which this run left the original
            action, self._action = self._action, None
            self._carry_out(tracee, self._call(tracee, number), action)
        else:
            super()._seccomp_stop(tracee)

    def _call(self, tracee: Tracee, number: int) -> StoppedCall:
        return CopiedCall(self._shared, tracee.tid, number, tracee.process, self._frames)


class CopiedCall(StoppedCall):
    """With the names that files would have in a run of its own."""

    __slots__ = ("_shared",)

    def __init__(self, shared: Shared, tid: int, number: int, process: Callable[[], int], stacks: Stacks) -> None:
        super().__init__(tid, number, process, stacks)
        self._shared = shared

    def descriptor_path(self, fd: int) -> str | None:
        return self._shared.true_path(super().descriptor_path(fd))


class Original(Run):
    """The run that the others leave. It ends, by us, when nobody is left that could leave it."""

    def __init__(
        self,
        *,
        execution: Execution,
        branching: Branching,
        shared: Shared,
        outside: Callable[[], frozenset[str]],
        clock: Clock,
        unwinder: Unwinder,
        captured: Captured,
        publish: Callable[[Snapshot], Verdict],
    ) -> None:
        super().__init__(execution, outside, clock, unwinder)
        self.execution, self.outside, self.clock, self.unwinder = execution, outside, clock, unwinder
        self._branching = branching
        self._numbers = branching.numbers()
        self._passing = self.stopping = self._numbers | WATCHED | TAKES_NAMES | launch.NOTED
        self.shared = shared
        self._captured = captured
        self._publish = publish
        self._ties: dict[str, None] = {}  # what keeps this process from ever being copied
        self._left: dict[int, str] = {}

    @property
    def leader(self) -> int:
        return self._leader

    @property
    def foreign(self) -> dict[str, None]:
        return self._foreign

    def finish(self) -> Left:
        """After the end: whoever is still there never left."""
        self._leave(NOT_REACHED, *self._branching.remaining())
        return Left(reasons=tuple(self._left.items()))

    def _seccomp_stop(self, tracee: Tracee) -> None:
        number = ptrace.event_message(tracee.tid)
        if self.started and number in WATCHED:
            reason = tie(number, Registers(tracee.tid).arguments)
            if reason is not None:
                self._ties[reason] = None
        if not self.started or number not in self._numbers:
            super()._seccomp_stop(tracee)
            return
        call = self._call(tracee, number)
        leaving, action = self._branching.enter(call)
        if leaving:
            began_s = time.monotonic()
            self._part(tracee, call, leaving)
            self._begin_s += time.monotonic() - began_s
        if self._branching.remaining():
            self._carry_out(tracee, call, action)
        else:
            self._kill_all()

    def _part(self, tracee: Tracee, call: StoppedCall, leaving: tuple[tuple[int, Action], ...]) -> None:
        reason = self._obstacle(tracee)
        if reason is not None:
            self._leave(reason, *(index for index, _ in leaving))
            return
        registers = call.registers
        try:
            with self.shared.held(tracee.tid):
                for index, action in leaving:
                    if index in self._branching.remaining():
                        self._run_copy(tracee, registers, index, action)
                        self.shared.put_back()
        except Unrestorable as error:
            self._leave(str(error), *self._branching.remaining())
        except (Vanished, ChildProcessError):
            self._leave(DISTURBED, *self._branching.remaining())

    def _leave(self, reason: str, *indexes: int) -> None:
        for index in indexes:
            self._left[index] = reason
        self._branching.drop(frozenset(indexes))

    def _obstacle(self, tracee: Tracee) -> str | None:
        if self._ties:
            return next(iter(self._ties))
        if len(self._tracees) > 1:
            return OTHERS
        if self._witness.fatals():
            return "a deadly signal was handled"
        return obstacle(tracee.tid)

    def _run_copy(self, tracee: Tracee, registers: Registers, index: int, action: Action) -> None:
        interceptor = self._branching.interceptor(index)
        pid = self._copy(tracee, registers)
        self.unwinder.inherit(tracee.tid, pid)
        interceptor.moved(tracee.tid, pid)
        copy = Copy(self, interceptor, action)
        copy.adopt(pid)
        self.clock.start()
        registers.before_call().give(pid)
        ptrace.resume(pid)
        copy.follow()
        self._branching.drop(frozenset({index}))
        verdict = self._publish(Snapshot(index=index, trace=copy.trace(*self._captured())))
        self._branching.drop(self._branching.remaining() if verdict.stop else frozenset())

    def _copy(self, tracee: Tracee, registers: Registers) -> int:
        """Its number, stopped before its first instruction. The original is at the entry of the same call again."""
        tid = tracee.tid
        ptrace.set_system_call(tid, CLONE)
        for position, value in enumerate((COPY_FLAGS, 0, 0, 0, 0)):
            ptrace.set_argument(tid, position, value)
        ptrace.resume_to_system_call(tid)
        self._expect(tid, ptrace.SYSTEM_CALL_STOP, Event.NONE)
        pid = ptrace.result(tid)
        if pid <= 0:
            raise Vanished(tid)  # no memory, or a signal came first
        try:
            registers.before_call().give(tid)
            self._expect(pid, signal.SIGTRAP, Event.STOP)
            ptrace.resume(tid)
            self._expect(tid, signal.SIGTRAP, Event.SECCOMP)
        except BaseException:
            os.kill(pid, signal.SIGKILL)  # nobody else knows of it
            raise
        return pid

    @staticmethod
    def _expect(tid: int, number: int, event: int) -> None:
        status = ptrace.wait_for(tid)
        if not status.stopped or (status.stop_signal, status.event) != (number, event):
            raise Vanished(tid)


class SnapshotTracer(Tracer):
    """Runs Snapshots as well."""

    def run_snapshots(
        self, job: Snapshots, descriptors: Mapping[int, int], publish: Callable[[Snapshot], Verdict]
    ) -> Left:
        """Each run that could leave the original is published, and waits for a Verdict; the others are told."""
        execution = replace(job.execution, interceptor=Common(job.branching))
        program = launch.find_program(execution.argv, dict(execution.environment), execution.folder)
        shared = Shared(tuple(map(str, job.folders)), str(job.shadows))
        limit = execution.limits.output_bytes
        with Opened(execution, descriptors) as opened:
            run = Original(
                execution=execution,
                branching=job.branching,
                shared=shared,
                outside=opened.pipes,
                clock=self._clock,
                unwinder=self._unwinder,
                captured=lambda: (opened.captured(1, limit), opened.captured(2, limit)),
                publish=publish,
            )
            self._follow(execution, program, opened, run)
            return run.finish()
