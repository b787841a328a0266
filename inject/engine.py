"""The engine of faults: sweeps a command's sites and errnos, and replays one policy beside a clean run.

Job.options: `errnos` and `syscalls` (tuples of names; empty: all; a system call may be a family or a %class), `startup`
(bool: also strike while the dynamic loader works, before the program's first instruction).
"""

import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from firedamp import guards
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError
from firedamp.outcome import Outcome, Stall, TimedOut
from firedamp.reproducer import Reproducer
from firedamp.run import Bench, resolve_stack
from firedamp.target import Build, Limits
from inject import sweep
from inject.clean import Clean, look_again, observe, with_scene
from inject.decide import Decider, DecisionReport
from inject.policy import Policy, parse
from inject.sweep import Fault, Plan, Selection

SLOWER: Final = 3.0  # a run under a fault may retry and wait; beyond that many clean runs it hangs
LEAST_S: Final = 2.0  # but a busy machine alone can hold a short run up that long
MOST_WORKERS: Final = 16
RUNS_PER_WORKER: Final = 50  # a worker costs two clean runs and a process
NO_PAUSES: Final = parse("nanosleep: true then retval[0]\nclock_nanosleep: true then retval[0]\n")
NOT_REACHED, NOT_TAKEN, AS_ONCE = "not reached", "did not take", "nothing came later that could fail again"


class FaultEngine:
    """firedamp.engine.Engine."""

    name = "inject"

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        """Every run whose fault struck. progress.complete: everything was run, or skipped for a reason."""
        with ExitStack() as stack:
            bench = stack.enter_context(Bench(job.target, job.build))
            selection = _selection(job)
            clean = observe(bench)
            program = _program(bench)
            made = sweep.plan(
                clean.report.hits,
                str(bench.room.path),
                clean.steady_paths,
                selection,
                program,
                script=program is not None and is_script(program),
            )
            progress.notes.extend(clean.noted)
            _begin(progress, made, selection)
            sweeping = Sweeping(job=job, progress=progress, plan=made, clean=clean)
            yield from sweeping.run(bench, stack)

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        """Clean runs, then one under the policy; a difference that a further clean run shows as well does not count."""
        policy = reproducer.payload.decode("utf-8", "surrogateescape")
        with Bench(reproducer.target, build) as bench:
            clean = observe(bench)
            return faulted(bench, clean, policy)[0]


def faulted(bench: Bench, clean: Clean, policy: str) -> tuple[Outcome, DecisionReport]:
    """One run under a policy, ready to be judged."""
    target = bench.target
    parsed = parse(policy)
    bench.target = replace(target, limits=fault_limits(target.limits, clean.outcome.wall_s))
    try:
        raw, report = _decided(bench, parsed)
        if report.strikes and isinstance(raw.ending, TimedOut) and raw.ending.stall is Stall.WAITING:
            raw, report = _hurried(bench, parsed)
        outcome = beside(clean, with_scene(bench, raw), report)
    finally:
        bench.target = target
    if guards.judge(outcome) and look_again(bench, clean):
        outcome = replace(outcome, unstable=frozenset(clean.unstable))
    return outcome, report


def _decided(bench: Bench, policy: Policy) -> tuple[Outcome, DecisionReport]:
    decider = Decider(policy, folder=str(bench.room.path))
    outcome, report = bench.run_command(interceptor=decider, snapshot=True)
    assert isinstance(report, DecisionReport)
    return outcome, report


def _hurried(bench: Bench, policy: Policy) -> tuple[Outcome, DecisionReport]:
    """Once more without its pauses: who backs off longer and longer comes to his end, who tries for ever does not."""
    sleepless = replace(policy, items=(*NO_PAUSES.items, *policy.items))
    outcome, report = _decided(bench, sleepless)
    first = len(NO_PAUSES.items)
    strikes = (replace(strike, rule=strike.rule - first) for strike in report.strikes if strike.rule >= first)
    return outcome, replace(report, strikes=tuple(strikes), fired=report.fired[first:], matched=report.matched[first:])


def beside(clean: Clean, outcome: Outcome, report: DecisionReport) -> Outcome:
    strikes = tuple(
        # The first one is what a finding is about; a program that retries for ever makes thousands.
        replace(strike, stack=resolve_stack(strike.stack)) if index == 0 else strike
        for index, strike in enumerate(report.strikes)
    )
    return replace(
        outcome,
        strikes=strikes,
        baseline=clean.outcome,
        unstable=frozenset(clean.unstable),
        refusals=clean.outcome.refusals,
    )


def fault_limits(limits: Limits, clean_s: float) -> Limits:
    """Hangs are cheap: three times the clean run is enough to tell, at least two seconds, never above the target's."""
    wall_s = min(limits.wall_s, max(LEAST_S, SLOWER * clean_s))
    return replace(limits, wall_s=wall_s, cpu_s=min(limits.cpu_s, wall_s))


def _program(bench: Bench) -> str | None:
    """The file that the command's first word stands for."""
    word = bench.command[0]
    found = bench.room.path / word if "/" in word else shutil.which(word)
    return None if found is None else os.path.realpath(found)


def is_script(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False  # a program may be run without being readable


def _selection(job: Job) -> Selection:
    errnos, names = (_words(job, key) for key in ("errnos", "syscalls"))
    try:
        chosen = sweep.names_of(names)
    except KeyError as error:
        raise UsageError(f"{job.target.name}: {error.args[0]}; write a kernel's name, a family or a %class") from None
    return Selection(
        errnos=frozenset(word.upper() for word in errnos), syscalls=chosen, startup=job.options.get("startup") is True
    )


def _words(job: Job, key: str) -> tuple[str, ...]:
    value = job.options.get(key, ())
    if not isinstance(value, tuple | list | frozenset | set) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{job.target.name}: {key} = {value!r}; it must be a list of names")
    return tuple(str(word) for word in value)


def _begin(progress: Progress, plan: Plan, selection: Selection) -> None:
    progress.sites = plan.sites
    progress.faults = progress.planned = len(plan.faults)
    progress.skips = dict(plan.skips)
    if not plan.faults:
        narrowed = "; --errno and --syscall leave nothing" if selection.errnos or selection.syscalls else ""
        progress.notes.append(f"no site was reached after the start-up: nothing could be made to fail{narrowed}")


@dataclass(slots=True, kw_only=True)
class Sweeping:
    """The runs of one sweep, over several benches at a time, in the order of the plan as far as they go."""

    job: Job
    progress: Progress
    plan: Plan
    clean: Clean
    began: float = field(default_factory=time.monotonic)
    begun: int = 0  # runs
    closed: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, bench: Bench, stack: ExitStack) -> Iterator[Attempt]:
        faults = self.plan.faults
        runs = min(len(faults), self.job.runs or len(faults))
        count = max(1, min(self.job.workers, MOST_WORKERS, runs // RUNS_PER_WORKER))
        todo: queue.SimpleQueue[tuple[Fault, ...]] = queue.SimpleQueue()
        for _, group in groupby(faults, key=lambda fault: (fault.hit, fault.name)):
            todo.put(tuple(group))
        ready: queue.Queue[Attempt | BaseException | None] = queue.Queue(maxsize=4 * count)
        threads = [
            threading.Thread(target=self._work, args=(number, bench if number == 0 else None, todo, ready), daemon=True)
            for number in range(count)
        ]
        stack.callback(self._close, threads, ready)
        for thread in threads:
            thread.start()
        working = count
        while working:
            match ready.get():
                case None:
                    working -= 1
                case BaseException() as error:
                    raise error
                case attempt:
                    yield attempt
        self.progress.complete = self.progress.done + self._unstruck() == len(self.plan.faults)

    def _unstruck(self) -> int:
        return sum(self.progress.skips.get(reason, 0) for reason in (NOT_REACHED, NOT_TAKEN, AS_ONCE))

    def _close(self, threads: list[threading.Thread], ready: "queue.Queue[Attempt | BaseException | None]") -> None:
        self.closed.set()
        while any(thread.is_alive() for thread in threads):
            try:
                ready.get(timeout=0.05)  # a worker may wait for room to put its last attempt
            except queue.Empty:
                continue

    def _work(
        self,
        number: int,
        bench: Bench | None,
        todo: "queue.SimpleQueue[tuple[Fault, ...]]",
        ready: "queue.Queue[Attempt | BaseException | None]",
    ) -> None:
        try:
            if bench is not None:
                self._drain(bench, self.clean, todo, ready)
            else:
                with Bench(self.job.target, self.job.build) as own:
                    self._drain(own, observe(own), todo, ready)
        except BaseException as error:
            ready.put(error)
        else:
            ready.put(None)

    def _drain(
        self,
        bench: Bench,
        clean: Clean,
        todo: "queue.SimpleQueue[tuple[Fault, ...]]",
        ready: "queue.Queue[Attempt | BaseException | None]",
    ) -> None:
        while True:
            try:
                group = todo.get_nowait()
            except queue.Empty:
                return
            later: int | None = None
            for fault in group:
                if later is not None and sweep.is_same_as_once(fault, later):
                    self._drop()
                    continue
                if not self._may_begin():
                    return
                attempt, later = self._attempt(bench, clean, fault)
                if attempt is not None:
                    ready.put(attempt)

    def _may_begin(self) -> bool:
        """One more run, unless the time or the number of runs is used up, or somebody wants us to stop."""
        late = self.job.time_s is not None and time.monotonic() - self.began >= self.job.time_s
        if late or self.closed.is_set() or self.job.stopping():
            return False
        with self.lock:
            self.begun += 1
            return self.job.runs is None or self.begun <= self.job.runs

    def _skip(self, reason: str) -> None:
        with self.lock:
            self.progress.skips[reason] = self.progress.skips.get(reason, 0) + 1

    def _drop(self) -> None:
        self._skip(AS_ONCE)
        with self.lock:
            self.progress.planned -= 1
            self.progress.faults -= 1

    def _attempt(self, bench: Bench, clean: Clean, fault: Fault) -> tuple[Attempt | None, int]:
        """What the run shows, and how many calls of that kind came after the fault."""
        known = resolve_stack(self.clean.report.stacks.get(fault.hit.site, ()))
        policy = sweep.policy_text(fault, self.job.target.command or bench.command, known)
        outcome, report = faulted(bench, clean, policy)
        reason = NOT_REACHED if not report.strikes else NOT_TAKEN if not report.strikes[0].took else None
        with self.lock:
            self.progress.executions += 1
            self.progress.done += reason is None
        if reason is not None:
            self._skip(reason)
            return None, report.later
        reproducer = Reproducer(
            engine="inject", target=self.job.target, payload=policy.encode("utf-8", "surrogateescape")
        )
        return Attempt(reproducer=reproducer, outcome=outcome), report.later
