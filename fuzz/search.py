"""One bounded search: keeps the children fuzzing, looks at each death in a fresh process, says what it saw.

Each life starts from the living corpus, so nothing that was learnt is lost with the process that learnt it.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select
from signal import SIGKILL
from types import TracebackType

from firedamp import guards
from firedamp.disk import Disk
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError, WorkerDied
from firedamp.outcome import Outcome
from firedamp.reproducer import Reproducer
from firedamp.room import Room
from firedamp.target import Profile, TargetKind
from fuzz import command, flags, notes, stability, structure
from fuzz.events import Survived
from fuzz.journal import Journal
from fuzz.pending import Keeper, Pending
from fuzz.pool import Pool
from fuzz.recurrence import Recurrence
from fuzz.rest import TICK_S, Rest
from fuzz.steady import SteadyBench
from fuzz.supervisor import End, Supervisor
from fuzz.survival import DOUBTS, Sighting, Survivals
from fuzz.tokens import write_dictionary
from fuzz.twin import Twin
from fuzz.worker import Worker

SLOW_LEAST_S, SLOW_SHARE = 1.0, 0.5  # of the time-out: slow, where it is no time-out yet
STUCK_S = 10.0  # beyond libFuzzer's own time-out: the target holds off or replaced SIGALRM
BARREN_LIVES = 5  # in a row that ended outside the target or on the empty input: going on would only loop
TIMED_OUT, OUT_OF_MEMORY = 70, 71  # libFuzzer's exit statuses (FuzzerOptions.h)
SPENT = 80  # FIREDAMP_SPENT of firedamp/runtime/survive.h
CONSEQUENCE = "deaths after survived detections that a fresh process does not show"
LATE_S = 2.0  # after a search, for survived detections that nobody has looked at


class Search:
    """Context manager. All processes and private files are gone when it is left; results/<target>/ stays."""

    def __init__(self, job: Job, progress: Progress) -> None:
        flags.check(job.flags)
        self._job = job
        self._progress = progress
        self._recurrence = Recurrence()
        self._survivals = Survivals()
        self._started = time.monotonic()
        self._edges = 0
        self._workers: list[Worker] = []
        self._keeping = threading.Lock()
        self._twin: Twin | None = None

    def __enter__(self) -> "Search":
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tick()
        self._note_survival()
        self._stack.close()

    def attempts(self) -> Iterator[Attempt]:
        """Yields until time, runs or `stopping` end the search, or no child can go on."""
        self._started = time.monotonic()
        self._rest.wait(self._over)
        yield from self._recovered()
        self._measure_stability()
        for worker in self._workers:
            self._begin(worker)
        while any(worker.alive for worker in self._workers) and not self._over():
            if self._rest.is_due():
                yield from self._pause()
                continue
            ready = select([worker.supervisor.status_fd for worker in self._workers if worker.alive], [], [], TICK_S)[0]
            self._tick()
            for worker in self._workers:
                yield from self._spooled(worker)
                try:
                    if worker.alive and worker.supervisor.status_fd in ready:
                        yield from self._ended(worker)
                    elif worker.alive:
                        self._watch(worker)
                except WorkerDied:
                    self._replace(worker)
            yield from self._survived()
            if self._twin is not None:
                yield from self._twin.attempts()
        yield from self._survived_late()
        if self._progress.stability is None and not self._job.stopping():
            self._measure_stability()
        if self._twin is not None:
            yield from () if self._job.stopping() else self._twin.late()
            self._progress.note(self._twin.words())
        self._note_mutator()
        self._progress.complete = self._job.stopping() is False

    def _open(self, stack: ExitStack) -> None:
        job, target = self._job, self._job.target
        results = job.results.absolute() / target.name
        private = stack.enter_context(Room(None)).path  # swept at the next start, should we be killed
        self._pool = Pool(results=results, private=private, max_len=target.max_len)
        stack.callback(self._pool.settle)
        self._disk = Disk(results)
        seeds = self._pool.add_seeds(target.root / target.seeds) if target.seeds else 0
        self._command_line = flags.CommandLine(
            corpus=self._pool.corpus,
            seeds=self._pool.seeds,
            max_len=target.max_len,
            timeout_s=self._timeout_s(),
            rss_limit_mb=flags.whole_mebibytes(target.limits),
            dictionary=write_dictionary(
                private / "dictionary",
                target.root / target.dictionary if target.dictionary else None,
                job.build.executable if job.build and target.kind is not TargetKind.PYTHON else None,
            ),
            extra=job.flags,
        )
        self._journal = stack.enter_context(Journal(results / "journal.jsonl"))
        self._journal.write("start", target=target.name, corpus=len(self._pool), seeds=seeds, seed=job.seed)
        self._rest = Rest(job, self._progress, self._disk, self._journal)
        stack.callback(self._say_stop)
        self._bench = stack.enter_context(SteadyBench(target, job.build))
        stack.callback(self._close_workers)
        for index in range(max(1, job.workers)):
            folder = private / f"worker-{index}"
            room = stack.enter_context(Room(target.workdir or target.root))
            if target.setup is not None:  # that it fails is said by the bench, in more words
                subprocess.run(["sh", "-c", target.setup], cwd=room.path, capture_output=True, check=False)
            sample = flags.comparison_sample(job.flags)
            plan = command.plan(
                target,
                job.build,
                folder=folder,
                corpus=self._pool.corpus,
                work=room.path,
                sample=sample,
                survive=job.options.get("survive") is not False,
            )
            self._workers.append(
                Worker(
                    index=index,
                    folder=folder,
                    plan=plan,
                    max_len=target.max_len,
                    supervisor=Supervisor(plan, max_len=target.max_len),
                    quota=None if job.runs is None else -(-job.runs // max(1, job.workers)),
                )
            )
        if (make := job.options.get("twin")) is not None and callable(make):
            inputs = self._pool.corpus, self._pool.seeds
            self._twin = stack.enter_context(Twin(target, make, inputs, private / "twin"))
        self._pending = Pending(results / "pending")
        stack.enter_context(Keeper(self._keep))
        for note in notes.of_confinement(self._workers[0].supervisor, job.build):
            self._progress.note(note)
        if target.kind is TargetKind.COMMAND:
            self._progress.note(
                "no coverage feedback: an installed command is fuzzed blindly; give its sources for better"
            )

    def _timeout_s(self) -> int:
        """libFuzzer's. A program's own time-out is kept by the child; libFuzzer's would only end the life."""
        own = self._job.target.kind in {TargetKind.PROGRAM, TargetKind.COMMAND}
        return flags.whole_seconds(self._job.target.limits) * (4 if own else 1)

    def _begin(self, worker: Worker) -> None:
        """The next life, unless the executions are used up."""
        remaining = worker.remaining
        worker.alive = remaining is None or remaining > 0
        if worker.alive:
            try:
                worker.begin(self._command_line, self._job.seed, remaining)
            except WorkerDied:
                self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        """WorkerDied when it is lost again and again. The input that it was at is no death of the target's.

        Under a lock: the keeper looks into the memory that goes away.
        """
        worker.count_loss()
        self._journal.write("replaced", worker=worker.index)
        self._progress.note("a fuzzing child was killed from outside and replaced")
        with self._keeping:
            worker.replace()
        self._begin(worker)

    def _close_workers(self) -> None:
        for worker in self._workers:
            worker.supervisor.close()

    def _over(self) -> bool:
        spent = time.monotonic() - self._started
        return self._job.stopping() or (self._job.time_s is not None and spent >= self._job.time_s)

    def _pause(self) -> Iterator[Attempt]:
        """End all lives until there is room on the disk and it is our turn; the corpus keeps what they have learnt."""
        resting = [worker for worker in self._workers if worker.alive]
        for worker in resting:
            yield from self._halt(worker)
        self._rest.wait(self._over)
        for worker in resting if not self._over() else ():
            self._begin(worker)

    def _halt(self, worker: Worker) -> Iterator[Attempt]:
        worker.alive = False
        end = None
        with suppress(WorkerDied):  # replaced when it is to begin again
            worker.supervisor.kill()
            end = worker.supervisor.hear(STUCK_S)
        if end is not None and end.signal != SIGKILL and end.reading.inside:  # it had died before
            yield from self._look(end.reading.input, (end.signal, end.exit_status), worker.supervisor.history()[:-1])

    def _measure_stability(self) -> None:
        """Of the corpus as it is; an empty one says nothing."""
        paths = self._pool.inputs()
        if not paths or self._job.target.kind in {TargetKind.PROGRAM, TargetKind.COMMAND} or self._disk.is_short():
            return
        first = self._workers[0]
        control, before = Path(first.supervisor.spool).parent / "control", first.total
        found = stability.measure(first.supervisor, self._job.target, paths, control=control, seed=self._job.seed)
        first.measured += first.total - before
        self._progress.stability = found
        if found is not None and found < stability.BAD:
            self._progress.note(
                f"stability {found:.0%}: run again, the same inputs reach other edges (state kept between executions, "
                "the time, random numbers?); coverage leads astray, and a finding may need a sequence of inputs"
            )

    def _tick(self) -> None:
        """Bring the counters up to date."""
        progress = self._progress
        before = progress.edges, progress.corpus
        for worker in self._workers:
            self._edges = max(self._edges, worker.supervisor.follow().edges)
        progress.executions = sum(worker.total for worker in self._workers)
        progress.active_s = time.monotonic() - self._started - self._rest.spent_s
        progress.executions_per_s = progress.executions / max(progress.active_s, 1e-3)
        progress.edges = self._edges
        progress.survived = sum(worker.supervisor.events.survived for worker in self._workers)
        progress.corpus = len(self._pool)
        self._pool.nudge()
        if (progress.edges, progress.corpus) > before:
            progress.news_s = progress.active_s

    def _watch(self, worker: Worker) -> None:
        """Kill a life that makes no progress inside the target: libFuzzer's own alarm did not."""
        now = time.monotonic()
        reading = worker.supervisor.monitor.read()
        if reading.executions != worker.executions or not reading.inside:
            worker.executions, worker.advanced_at = reading.executions, now
        elif not worker.supervisor.status.initialised and now - worker.advanced_at > self._slow_s():
            self._set_slow_aside(worker, reading.input)
        elif now - worker.advanced_at > 2 * self._command_line.timeout_s + STUCK_S:
            worker.cause = "stuck"
            worker.advanced_at = now
            worker.supervisor.kill()

    def _slow_s(self) -> float:
        """Longer than that, and an input of the corpus would hold up every life from its start on."""
        return max(SLOW_LEAST_S, SLOW_SHARE * self._command_line.timeout_s)

    def _set_slow_aside(self, worker: Worker, data: bytes) -> None:
        """Once: a life that is killed for it begins without it. What is in no folder can only be waited for."""
        worker.advanced_at = time.monotonic()
        if self._pool.set_aside(data):
            self._progress.note(
                f"inputs that take longer than {self._slow_s():g} s were moved to {self._pool.quarantine}"
            )
            self._journal.write("slow", size=len(data), seconds=self._slow_s())
            worker.stopped = True
            worker.supervisor.kill()

    def _ended(self, worker: Worker) -> Iterator[Attempt]:
        """A life has ended: look at its input, then begin the next one where that makes sense."""
        end = worker.supervisor.hear(0)
        if end is None:
            return
        structure.check_error(worker.folder, self._job.target.mutator or self._job.target.strategy)
        self._journal.write(
            "life",
            worker=worker.index,
            life=worker.lives,
            signal=end.signal,
            status=end.exit_status,
            executions=end.reading.executions,
            initialised=end.status.initialised,
            inside=end.reading.inside,
            survived=worker.survived_now,
        )
        worker.alive = False
        if worker.stopped or end.exit_status == SPENT:
            self._begin(worker)
            return
        if end.exit_status == 0 and not end.reading.inside:
            return  # -runs are used up
        if end.reading.inside:
            cause = worker.cause or end.fatal or (end.signal, end.exit_status)
            doubtful = worker.survived_now > 0
            before = worker.supervisor.history()[:-1]
            yield from self._look(end.reading.input, cause, before, doubtful=doubtful)
        if self._may_go_on(worker, end) and not self._over():
            self._begin(worker)

    def _recovered(self) -> Iterator[Attempt]:
        """What a killed run had seen and could not judge any more. Most of it may be nothing: it was under way."""
        for *before, data in self._pending.left():
            outcome = self._bench.run_input(data)
            if guards.judge(outcome) or (before and guards.judge(self._bench.run_inputs((*before, data)))):
                self._journal.write("recovered", size=len(data))
                yield self._attempt(data, outcome, tuple(before))
            self._pending.settle(data)

    def _keep(self) -> None:
        """In the keeper's thread: while we are busy with one death, others must not be lost by a kill."""
        with self._keeping:
            self._gather()
            self._keep_deaths()

    def _keep_deaths(self) -> None:
        for worker in self._workers:
            if worker.alive and select([worker.supervisor.status_fd], [], [], 0)[0]:
                reading = worker.supervisor.monitor.read()
                if reading.inside:
                    self._pending.keep(reading.input, worker.supervisor.history()[:-1])

    def _gather(self) -> None:
        for worker in self._workers:
            for survived in self._survivals.gather(worker.index, worker.supervisor.events):
                self._pending.keep(survived.input, survived.before)

    def _look(
        self, data: bytes, cause: object, before: tuple[bytes, ...] = (), *, doubtful: bool = False
    ) -> Iterator[Attempt]:
        """Of a `doubtful` death nothing is said unless a fresh process shows something, too: its life had survived
        detections, and this may be no more than their consequence."""
        if not self._recurrence.worth(cause):
            self._progress.skips["same death, not looked at again"] = self._recurrence.skipped
            return
        self._pending.keep(data, before)
        outcome = self._bench.run_input(data)
        self._recurrence.learn(cause, outcome)
        if doubtful and not guards.judge(outcome):
            self._progress.skip(CONSEQUENCE)
        else:
            yield self._attempt(data, outcome, before)
        self._pending.settle(data)

    def _attempt(self, data: bytes, outcome: Outcome, before: tuple[bytes, ...] = ()) -> Attempt:
        profile = self._job.build.profile if self._job.build else Profile.PLAIN
        reproducer = Reproducer(engine="fuzz", target=self._job.target, profile=profile, payload=data)
        return Attempt(reproducer=reproducer, outcome=outcome, before=before)

    def _survived(self) -> Iterator[Attempt]:
        """Detections that were survived in process, until the next tick is due."""
        self._gather()
        due = time.monotonic() + TICK_S
        while time.monotonic() < due and not self._over() and (sighting := self._survivals.next()) is not None:
            yield from self._doubt(sighting)

    def _survived_late(self) -> Iterator[Attempt]:
        """At the end: what is new may still be looked at, for a moment."""
        due = time.monotonic() + LATE_S
        while (time.monotonic() < due or not self._over()) and not self._job.stopping():
            sighting = self._survivals.next(fresh_only=True)
            if sighting is None:
                return
            yield from self._doubt(sighting)

    def _doubt(self, sighting: Sighting) -> Iterator[Attempt]:
        """Only what a fresh process shows, too, is believed: with the input alone, or behind those that came before."""
        survived = sighting.survived
        started = time.monotonic()
        outcome = self._bench.run_input(survived.input)
        alone = bool(guards.judge(outcome))
        together = not alone and bool(survived.before) and self._led_to(survived)
        self._survivals.looked(sighting, time.monotonic() - started)
        if alone and self._pool.set_aside(survived.input, thorough=False):
            self._note_quarantine()
        if alone or together or self._bad_life(sighting):
            yield self._attempt(survived.input, outcome, survived.before)
        self._pending.settle(survived.input)

    def _led_to(self, survived: Survived) -> bool:
        return bool(guards.judge(self._bench.run_inputs((*survived.before, survived.input))))

    def _bad_life(self, sighting: Sighting) -> bool:
        """A life in which something happened that cannot be seen outside of it makes place for a fresh one. Whether
        the same has come back too often for that."""
        doubts = self._survivals.doubt(sighting)
        worker = self._workers[sighting.worker]
        if doubts < DOUBTS:
            worker.supervisor.events.want(sighting.survived.index)
            if worker.alive:
                worker.stopped = True
                with suppress(WorkerDied):
                    worker.supervisor.kill()
        return doubts == DOUBTS

    def _may_go_on(self, worker: Worker, end: End) -> bool:
        """Whether another life could get further; what ended this one at once is out of its way then."""
        if end.status.initialised:
            worker.barren = 0
            if not end.reading.inside:
                self._note_outside(worker, end)
            return True
        worker.barren += 1
        if not end.reading.inside:
            return self._outside_start(worker, end)
        if end.reading.input and self._pool.set_aside(end.reading.input):
            self._note_quarantine()
            return True
        if end.reading.input and self._pool.add_starter():
            return True
        what = "the empty input" if not end.reading.input else "every first input"
        self._progress.note(
            f"stopped: the target ends on {what}, which libFuzzer always runs first; return early for it"
        )
        return False

    def _note_outside(self, worker: Worker, end: End) -> None:
        if worker.survived_now > 0:
            self._progress.skip(CONSEQUENCE)
        elif end.exit_status == OUT_OF_MEMORY:
            self._progress.note(
                "memory grew to the limit over many executions (a leak?); the process was started afresh"
            )
        else:
            self._progress.note(f"a life ended between executions ({_words(end)}); started afresh")

    def _outside_start(self, worker: Worker, end: End) -> bool:
        """The life ended before any input was run: a bad flag is the user's, LLVMFuzzerInitialize the target's."""
        if "ERROR:" in end.said or ("Dictionary" in end.said and end.exit_status == 1):
            raise UsageError(f"libFuzzer refused to start; its words:\n{end.said.strip()}")
        self._progress.note(
            f"stopped: the target ended before its first input ({_words(end)}), in LLVMFuzzerInitialize?"
        )
        return worker.barren < BARREN_LIVES and end.reading.executions > 0

    def _spooled(self, worker: Worker) -> Iterator[Attempt]:
        """Inputs that killed a program: there the child lives on and leaves them in its spool."""
        for path in sorted(worker.supervisor.spool.iterdir()):
            data = path.read_bytes()
            path.unlink()
            yield from self._look(data, path.name.partition(".")[0])

    def _note_quarantine(self) -> None:
        self._progress.note(f"inputs of the corpus that end the target at once were moved to {self._pool.quarantine}")

    def _note_mutator(self) -> None:
        """What the user's own costs, as one worker felt it."""
        name = self._job.target.mutator or self._job.target.strategy
        if name is not None:
            words = structure.cost(self._workers[0].folder, name)
            self._progress.note(words or f"mutator {name}: was never asked; the search ended too soon")

    def _say_stop(self) -> None:
        progress = self._progress
        self._journal.write(
            "stop",
            executions=progress.executions,
            edges=progress.edges,
            corpus=len(self._pool),
            survived=progress.survived,
            signatures=progress.signatures,
        )

    def _note_survival(self) -> None:
        events = [worker.supervisor.events for worker in self._workers]
        self._progress.signatures = len({each for one in events for each in one.counts()})
        for note in notes.of_survival(self._progress, self._survivals, events):
            self._progress.note(note)


def _words(end: End) -> str:
    return f"signal {end.signal}" if end.signal is not None else f"exit status {end.exit_status}"
