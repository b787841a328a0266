"""The runs of one sweep: several benches at a time take faults from the schedule until there is none, or no time."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from firedamp.confirm import serious
from firedamp.engine import Attempt, Job, Progress
from firedamp.naming import resolve_stack
from firedamp.outcome import Exited, Frame, Outcome, TimedOut
from firedamp.reproducer import Reproducer
from firedamp.run import Attachment, Bench
from firedamp.trace.protocol import Verdict
from inject.decide.decider import DecisionReport
from inject.faulted import faulted
from inject.observe.clean import Clean, observe
from inject.observe.probe import probe
from inject.policy.names import ALLOCATION
from inject.sweeps import plan
from inject.sweeps.allocations import beside
from inject.sweeps.pairs import Planning, Probe
from inject.sweeps.plan import Fault
from inject.sweeps.schedule import Record, Result, Schedule, Task
from inject.sweeps.sharing import LEAST_AT_ONCE, MOST_AT_ONCE, Sharing, groups, parted, wrong
from inject.sweeps.snapshots import shares

MOST_WORKERS: Final = 16
RUNS_PER_WORKER: Final = 50  # a worker costs two clean runs and a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run that is over; no attempt where the fault did not strike."""

    fault: Fault
    record: Record
    attempt: Attempt | None


Ready = queue.Queue[Ran | BaseException | None]


@dataclass(slots=True, kw_only=True)
class Sweeping:
    job: Job
    progress: Progress
    schedule: Schedule
    clean: Clean
    planning: Planning  # of pairs
    attachment: Callable[[], Attachment] = Attachment  # of one more bench
    stacks: dict[str, tuple[Frame, ...]] = field(default_factory=dict)  # by site, of calls that no clean run makes
    sharing: Sharing = field(default_factory=Sharing)
    began: float = field(default_factory=time.monotonic)
    begun: int = 0  # runs
    closed: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, bench: Bench, stack: ExitStack) -> Iterator[Ran]:
        """In the order in which they end. The threads are over when `stack` is."""
        runs = min(len(self.schedule.todo), self.job.runs or len(self.schedule.todo))
        count = max(1, min(self.job.workers, MOST_WORKERS, runs // RUNS_PER_WORKER))
        ready: Ready = queue.Queue(maxsize=4 * count)
        threads = [
            threading.Thread(target=self._work, args=(bench if number == 0 else None, ready), daemon=True)
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
                case ran:
                    yield ran

    def _close(self, threads: list[threading.Thread], ready: Ready) -> None:
        self.closed.set()
        while any(thread.is_alive() for thread in threads):
            try:
                ready.get(timeout=0.05)  # a worker may wait for room to put its last run
            except queue.Empty:
                continue

    def _work(self, bench: Bench | None, ready: Ready) -> None:
        try:
            if bench is not None:
                self._drain(bench, self.clean, ready)
            else:
                with Bench(self.job.target, self.job.build) as own:
                    own.attachment = self.attachment()
                    self._drain(own, observe(own), ready)
        except BaseException as error:
            ready.put(error)
        else:
            ready.put(None)

    def _drain(self, bench: Bench, clean: Clean, ready: Ready) -> None:
        while (task := self.schedule.take()) is not None:
            others = self.schedule.take_more(self._at_once() - 1, task) if isinstance(task, Fault) else []
            unsettled: list[Task] = [task, *others]
            try:
                for done, ran in self._all(bench, clean, unsettled):
                    unsettled = [each for each in unsettled if each is not done]
                    if ran is not None:
                        ready.put(ran)
            finally:
                for each in unsettled:
                    self.schedule.give_up(each)
            if unsettled:
                return

    def _at_once(self) -> int:
        if not self.sharing.wanted:
            return 1
        if self.job.runs is None:
            return MOST_AT_ONCE
        # half: each that looks wrong is run once more, from the start, before it counts
        return max(1, min(MOST_AT_ONCE, (self.job.runs - self.begun) // 2))

    def _all(self, bench: Bench, clean: Clean, tasks: Sequence[Task]) -> Iterator[tuple[Task, Ran | None]]:
        """Each as it is settled, unless there is no time."""
        alone, suspected = {id(task): task for task in tasks}, dict[int, frozenset[str]]()
        for group in groups([task for task in tasks if isinstance(task, Fault)]):
            for ran in self._snapshots(bench, clean, group):
                found = self._wrong(ran)
                if found:
                    suspected[id(ran.fault)] = found
                    continue
                del alone[id(ran.fault)]
                self.schedule.settle(ran.fault, ran.record)
                yield ran.fault, ran
        for task in alone.values():
            if not self._may_begin():
                return
            done = self._carry_out(bench, clean, task)
            if done is not None and id(task) in suspected:
                with self.lock:
                    self.sharing.compare(suspected[id(task)], self._wrong(done))
            yield task, done

    @staticmethod
    def _wrong(ran: Ran) -> frozenset[str]:
        return frozenset() if ran.attempt is None else wrong(ran.attempt.outcome)

    def _snapshots(self, bench: Bench, clean: Clean, group: Sequence[Fault]) -> Iterator[Ran]:
        """Of those that can share a beginning."""
        policies = [fault.policy() for fault in group]
        fit = [at for at, policy in enumerate(policies) if shares(policy)]
        if len(fit) < LEAST_AT_ONCE or not self._may_begin():
            return
        runs = parted(bench, clean, [policies[at] for at in fit], closely=group[0].closely)
        try:
            index, outcome, report = next(runs)
            while True:
                with self.lock:
                    self.progress.executions += 1
                    self.sharing.snapshots += 1
                at = fit[index]
                yield self._ran(bench, clean, group[at], outcome, report)
                index, outcome, report = runs.send(Verdict(stop=not self._may_begin()))
        except StopIteration as end:
            with self.lock:
                self.begun -= 1  # the last one did not begin
                self.sharing.leave(end.value, len(fit))

    def _carry_out(self, bench: Bench, clean: Clean, task: Task) -> Ran | None:
        match task:
            case Fault():
                ran = self._run(bench, clean, task)
                self.schedule.settle(task, ran.record)
                return ran
            case Probe():
                report = probe(bench, task.first)
                with self.lock:
                    self.progress.executions += 1
                    self.stacks |= report.stacks
                self.schedule.pair(task, self.planning(report.hits, str(bench.room.path)))
                with self.lock:
                    self.progress.planned = self.schedule.planned
                    self.progress.taken_over = self.schedule.taken_over
                return None

    def _may_begin(self) -> bool:
        """One more run, unless the time or the number of runs is used up, or somebody wants us to stop."""
        late = self.job.time_s is not None and time.monotonic() - self.began >= self.job.time_s
        if late or self.closed.is_set() or self.job.stopping():
            return False
        with self.lock:
            self.begun += 1
            return self.job.runs is None or self.begun <= self.job.runs

    def _run(self, bench: Bench, clean: Clean, fault: Fault) -> Ran:
        clean = beside(bench, clean) if fault.hit.syscall == ALLOCATION else clean
        outcome, report = faulted(bench, clean, fault.policy(), closely=fault.closely)
        with self.lock:
            self.progress.executions += 1
        return self._ran(bench, clean, fault, outcome, report)

    def _policy_text(self, bench: Bench, clean: Clean, fault: Fault) -> str:
        first = () if fault.first is None else self._stack(clean, fault.first.hit.site)
        command = self.job.target.command or bench.command
        return plan.policy_text(fault, command, self._stack(clean, fault.hit.site), first)

    def _ran(self, bench: Bench, clean: Clean, fault: Fault, outcome: Outcome, report: DecisionReport) -> Ran:
        record = self._record(fault, outcome, report)
        if record.result is not Result.STRUCK:
            return Ran(fault=fault, record=record, attempt=None)
        text = self._policy_text(bench, clean, fault)
        reproducer = Reproducer(
            engine="inject", target=self.job.target, payload=text.encode("utf-8", "surrogateescape")
        )
        return Ran(fault=fault, record=record, attempt=Attempt(reproducer=reproducer, outcome=outcome))

    def _stack(self, clean: Clean, site: str) -> tuple[Frame, ...]:
        return resolve_stack(clean.report.stacks.get(site) or self.stacks.get(site, ()))

    def _record(self, fault: Fault, outcome: Outcome, report: DecisionReport) -> Record:
        own = len(fault.schedule) - len(fault.rules)  # where the rules of the first fault end
        strike = next((each for each in report.strikes if each.rule >= own), None)
        if strike is None:
            return Record(result=Result.NOT_REACHED)
        if not strike.took:
            return Record(result=Result.NOT_TAKEN, later=report.later)
        findings = tuple(serious(outcome, self.job.target.name))
        return Record(
            result=Result.STRUCK,
            later=report.later,
            hung=isinstance(outcome.ending, TimedOut),
            handled=isinstance(outcome.ending, Exited) and not findings,
            findings=findings,
        )
