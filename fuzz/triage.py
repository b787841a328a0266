"""Looks at deaths and at survived detections in fresh processes: what of them somebody should judge.

What happened in a fuzzing process is a reason to look, never a finding. Ends no search and begins no life.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from select import select

from firedamp import guards
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import WorkerDied
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.target import Profile
from fuzz import notes
from fuzz.events import Survived
from fuzz.journal import Journal
from fuzz.pending import Pending
from fuzz.pool import Pool
from fuzz.recurrence import Recurrence
from fuzz.rest import TICK_S
from fuzz.steady import SteadyBench
from fuzz.survival import DOUBTS, Sighting, Survivals
from fuzz.worker import Worker

CONSEQUENCE = "deaths after survived detections that a fresh process does not show"
KEPT_EVERY_S = 0.5  # a kill loses no more than what was seen meanwhile
LOOKED_BACK = 32  # inputs, one by one, behind a death between executions
LATE_S = 2.0  # after a search, for survived detections that nobody has looked at


@dataclass(slots=True, kw_only=True)
class Triage:
    """Of all workers of one search. Who takes a worker's memory away holds `keeping`."""

    job: Job
    progress: Progress
    workers: list[Worker]
    bench: SteadyBench
    pool: Pool
    pending: Pending
    journal: Journal
    over: Callable[[], bool]
    survivals: Survivals = field(default_factory=Survivals)
    keeping: threading.Lock = field(default_factory=threading.Lock)
    _recurrence: Recurrence = field(default_factory=Recurrence)

    def recovered(self) -> Iterator[Attempt]:
        """What a killed run had seen and could not judge any more. Most of it may be nothing: it was under way."""
        for *before, data in self.pending.left():
            outcome = self.bench.run_input(data)
            if guards.judge(outcome) or (before and guards.judge(self.bench.run_inputs((*before, data)))):
                self.journal.write("recovered", size=len(data))
                yield self._attempt(data, outcome, tuple(before))
            self.pending.settle(data)

    def look(
        self, data: bytes, cause: object, before: tuple[bytes, ...] = (), *, doubtful: bool = False
    ) -> Iterator[Attempt]:
        """A death. Of a `doubtful` one nothing is said unless a fresh process shows something, too: its life had
        survived detections, and this may be no more than their consequence."""
        if not self._recurrence.worth(cause):
            self.progress.skips["same death, not looked at again"] = self._recurrence.skipped
            return
        self.pending.keep(data, before)
        outcome = self.bench.run_input(data)
        self._recurrence.learn(cause, outcome)
        if doubtful and not guards.judge(outcome):
            self.progress.skip(CONSEQUENCE)
        else:
            yield self._attempt(data, outcome, before)
        self.pending.settle(data)

    def look_back(
        self, history: tuple[bytes, ...], cause: object, *, always: bool = False
    ) -> Generator[Attempt, None, bool]:
        """A death between executions: what an earlier one damaged, most likely. Whether that one was found.

        The latest inputs are tried alone, from the last one on, and then all of them in one process.
        """
        if not history or not (self._recurrence.worth(cause) or always):
            return False
        data, before = history[-1], history[:-1]
        self.pending.keep(data, before)
        for alone in reversed(history[-LOOKED_BACK:]):
            outcome = self.bench.run_input(alone)
            if guards.judge(outcome):
                data, before = alone, ()
                break
        self._recurrence.learn(cause, outcome)
        found = not before or bool(guards.judge(self.bench.run_inputs(history)))
        if found:
            yield self._attempt(data, outcome, before)
        if not before:
            self._set_aside(data, thorough=True)
        self.pending.settle(history[-1])
        return found

    def survived(self) -> Iterator[Attempt]:
        """Detections that were survived in process, until the next tick is due."""
        self._gather()
        due = time.monotonic() + TICK_S
        while time.monotonic() < due and not self.over() and (sighting := self.survivals.next()) is not None:
            yield from self._doubt(sighting)

    def survived_late(self) -> Iterator[Attempt]:
        """At the end: what is new may still be looked at, for a moment."""
        due = time.monotonic() + LATE_S
        while (time.monotonic() < due or not self.over()) and not self.job.stopping():
            sighting = self.survivals.next(fresh_only=True)
            if sighting is None:
                return
            yield from self._doubt(sighting)

    def keep(self) -> None:
        """In the keeper's thread: while we are busy with one death, others must not be lost by a kill."""
        with self.keeping:
            self._gather()
            self._keep_deaths()

    def _keep_deaths(self) -> None:
        for worker in self.workers:
            if worker.alive and select([worker.supervisor.status_fd], [], [], 0)[0]:
                reading = worker.supervisor.monitor.read()
                if reading.inside:
                    self.pending.keep(reading.input, worker.supervisor.history()[:-1])

    def _gather(self) -> None:
        for worker in self.workers:
            for survived in self.survivals.gather(worker.index, worker.supervisor.events):
                self.pending.keep(survived.input, survived.before)

    def _doubt(self, sighting: Sighting) -> Iterator[Attempt]:
        """Only what a fresh process shows, too, is believed: with the input alone, or behind those that came before."""
        survived = sighting.survived
        started = time.monotonic()
        outcome = self.bench.run_input(survived.input)
        alone = bool(guards.judge(outcome))
        together = not alone and bool(survived.before) and self._led_to(survived)
        self.survivals.looked(sighting, time.monotonic() - started)
        if alone:
            self._set_aside(survived.input, thorough=False)
        if alone or together or self._bad_life(sighting):
            yield self._attempt(survived.input, outcome, survived.before)
        self.pending.settle(survived.input)

    def _led_to(self, survived: Survived) -> bool:
        return bool(guards.judge(self.bench.run_inputs((*survived.before, survived.input))))

    def _bad_life(self, sighting: Sighting) -> bool:
        """A life in which something happened that cannot be seen outside of it makes place for a fresh one. Whether
        the same has come back too often for that."""
        doubts = self.survivals.doubt(sighting)
        worker = self.workers[sighting.worker]
        if doubts < DOUBTS:
            worker.supervisor.events.want(sighting.survived.index)
            if worker.alive:
                worker.stopped = True
                with suppress(WorkerDied):
                    worker.supervisor.kill()
        return doubts == DOUBTS

    def _set_aside(self, data: bytes, *, thorough: bool) -> None:
        if self.pool.set_aside(data, thorough=thorough):
            self.progress.note(notes.of_quarantine(self.pool))

    def _attempt(self, data: bytes, outcome: Outcome, before: tuple[bytes, ...] = ()) -> Attempt:
        profile = self.job.build.profile if self.job.build else Profile.PLAIN
        reproducer = Reproducer(engine="fuzz", target=self.job.target, profile=profile, payload=data)
        return Attempt(reproducer=reproducer, outcome=outcome, before=before)
