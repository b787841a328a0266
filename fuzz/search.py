"""One bounded search: keeps the children fuzzing until time, executions or the user end it.

Each life starts from the living corpus, so nothing that was learnt is lost with the process that learnt it.
"""

import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select
from signal import SIGKILL
from types import TracebackType

from firedamp.disk import Disk
from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError, WorkerDied
from firedamp.room import EXCLUDED, Room
from firedamp.target import TargetKind
from firedamp.ticker import Ticker
from fuzz import command, flags, notes, stability, structure
from fuzz.journal import Journal
from fuzz.pending import Pending
from fuzz.pool import Pool
from fuzz.rest import TICK_S, Rest
from fuzz.steady import SteadyBench
from fuzz.supervisor import End, Supervisor
from fuzz.tokens import write_dictionary
from fuzz.triage import CONSEQUENCE, KEPT_EVERY_S, Triage
from fuzz.twin import Twin
from fuzz.worker import Worker

SLOW_LEAST_S, SLOW_SHARE = 1.0, 0.5  # of the time-out: slow, where it is no time-out yet
STUCK_S = 10.0  # beyond libFuzzer's own time-out: the target holds off or replaced SIGALRM
READING_S = 300.0  # before the first execution of a life: to list a million inputs takes less
IDLE_S = 30.0  # between two: a mutator that does not return, or an allocator in circles through a damaged heap
BARREN_LIVES = 5  # in a row that ended outside the target or on the empty input: going on would only loop
TIMED_OUT, OUT_OF_MEMORY = 70, 71  # libFuzzer's exit statuses (FuzzerOptions.h)
SPENT = 80  # FIREDAMP_SPENT of firedamp/runtime/survive.h


class Search:
    """Context manager. All processes and private files are gone when it is left; results/<target>/ stays."""

    def __init__(self, job: Job, progress: Progress) -> None:
        flags.check(job.flags)
        self._job = job
        self._progress = progress
        self._started = time.monotonic()
        self._edges = 0
        self._workers: list[Worker] = []
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
        yield from self._triage.recovered()
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
                    self._begin(worker)
            yield from self._triage.survived()
            if self._twin is not None:
                yield from self._twin.attempts()
        yield from self._triage.survived_late()
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
        self._command_line = self._new_command_line(private)
        self._journal = stack.enter_context(Journal(results / "journal.jsonl"))
        self._journal.write("start", target=target.name, corpus=len(self._pool), seeds=seeds, seed=job.seed)
        self._rest = Rest(job, self._progress, self._disk, self._journal)
        stack.callback(self._say_stop)
        bench = stack.enter_context(SteadyBench(target, job.build))
        stack.callback(self._close_workers)
        for index in range(max(1, job.workers)):
            room = stack.enter_context(Room(target.workspace, exclude=EXCLUDED | target.left_out))
            self._workers.append(self._new_worker(index, private / f"worker-{index}", room.path))
        if (make := job.options.get("twin")) is not None and callable(make):
            inputs = self._pool.corpus, self._pool.seeds
            self._twin = stack.enter_context(Twin(target, make, inputs, private / "twin"))
        self._triage = Triage(
            job=job,
            progress=self._progress,
            workers=self._workers,
            bench=bench,
            pool=self._pool,
            pending=Pending(results / "pending"),
            journal=self._journal,
            over=self._over,
        )
        keeper = Ticker(KEPT_EVERY_S, self._triage.keep)
        keeper.start()
        stack.callback(keeper.stop)
        for note in notes.of_start(self._workers[0].supervisor, target, job.build):
            self._progress.note(note)

    def _new_command_line(self, private: Path) -> flags.CommandLine:
        job, target = self._job, self._job.target
        return flags.CommandLine(
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

    def _new_worker(self, index: int, folder: Path, room: Path) -> Worker:
        job, target = self._job, self._job.target
        if target.setup is not None:  # that it fails is said by the bench, in more words
            subprocess.run(["sh", "-c", target.setup], cwd=room, capture_output=True, check=False)
        plan = command.plan(
            target,
            job.build,
            folder=folder,
            corpus=self._pool.corpus,
            work=room,
            sample=flags.comparison_sample(job.flags),
            survive=job.options.get("survive") is not False,
        )
        return Worker(
            index=index,
            folder=folder,
            plan=plan,
            max_len=target.max_len,
            supervisor=Supervisor(plan, max_len=target.max_len),
            quota=None if job.runs is None else -(-job.runs // max(1, job.workers)),
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
                self._begin(worker)

    def _replace(self, worker: Worker) -> None:
        """WorkerDied when it is lost again and again. The input that it was at is no death of the target's.

        Under a lock: the keeper looks into the memory that goes away.
        """
        worker.count_loss()
        self._journal.write("replaced", worker=worker.index)
        self._progress.note("a fuzzing child was killed from outside and replaced")
        with self._triage.keeping:
            worker.replace()

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
            yield from self._triage.look(
                end.reading.input, (end.signal, end.exit_status), worker.supervisor.history()[:-1]
            )

    def _measure_stability(self) -> None:
        """Of the corpus as it is; an empty one says nothing."""
        paths = self._pool.inputs()
        if not paths or self._job.target.kind in {TargetKind.PROGRAM, TargetKind.COMMAND} or self._disk.is_short():
            return
        first = self._workers[0]
        control, before = Path(first.supervisor.spool).parent / "control", first.total
        try:
            found = stability.measure(first.supervisor, self._job.target, paths, control=control, seed=self._job.seed)
        except WorkerDied:
            self._replace(first)
            return
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
        progress.survived = sum(worker.survived_total for worker in self._workers)
        progress.corpus = len(self._pool)
        self._pool.nudge()
        if (progress.edges, progress.corpus) > before:
            progress.news_s = progress.active_s

    def _watch(self, worker: Worker) -> None:
        """Kill a life that makes no progress inside the target (libFuzzer's own alarm did not), or has gone wild."""
        now = time.monotonic()
        if not worker.supervisor.intact:
            worker.stopped = True
            worker.supervisor.kill()
            return
        reading = worker.supervisor.monitor.read()
        if reading.executions != worker.executions:
            worker.executed_at = now
        idle_s = READING_S if reading.executions == worker.at_begin else IDLE_S
        if now - worker.executed_at > idle_s and not reading.inside:
            self._progress.note(notes.IDLE)
            worker.executed_at = now
            worker.supervisor.kill()
        elif reading.executions != worker.executions or not reading.inside:
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
        is_wild = not worker.supervisor.intact
        if is_wild:
            self._progress.note(notes.WILD)
        if worker.stopped or is_wild or end.exit_status == SPENT:
            self._begin(worker)
            return
        if end.exit_status == 0 and not end.reading.inside:
            return  # -runs are used up
        found = yield from self._look(worker, end)
        if (found or self._may_go_on(worker, end)) and not self._over():
            self._begin(worker)

    def _look(self, worker: Worker, end: End) -> Generator[Attempt, None, bool]:
        """At the input that a life ended in or, where it ended in none, at those before: was it one of them?"""
        history = worker.supervisor.history()
        if end.reading.inside:
            cause = worker.cause or end.fatal or (end.signal, end.exit_status)
            doubtful = worker.survived_now > 0
            yield from self._triage.look(end.reading.input, cause, history[:-1], doubtful=doubtful)
        elif end.exit_status != OUT_OF_MEMORY:
            outside = "outside", end.signal, end.exit_status
            return (yield from self._triage.look_back(history, outside, always=not end.status.initialised))
        return False

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
            self._progress.note(notes.of_quarantine(self._pool))
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
        for path in sorted(worker.supervisor.spool.glob("*")):  # nothing where the target has removed it
            data = path.read_bytes()
            path.unlink()
            yield from self._triage.look(data, path.name.partition(".")[0])

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
        for note in notes.of_survival(self._progress, self._triage.survivals, events):
            self._progress.note(note)


def _words(end: End) -> str:
    return f"signal {end.signal}" if end.signal is not None else f"exit status {end.exit_status}"
