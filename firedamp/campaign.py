"""The loop: engine -> outcome -> guards -> store. Confirms each new signature in fresh processes, then shrinks it.

Knows no engine by name. A finding is on disk before the next attempt is asked for, so nothing is lost by a kill.
"""

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from firedamp import guards, reproducer_file, sequence, shrink
from firedamp.confirm import Confirmation, confirm, serious
from firedamp.disk import is_full
from firedamp.engine import Attempt, Engine, Job, Progress
from firedamp.errors import DiskFull, UsageError
from firedamp.finding import Detection, Finding, Severity, Standing, State
from firedamp.outcome import OutOfMemory, TimedOut
from firedamp.reproducer import Payload, Reproducer
from firedamp.store import Store
from firedamp.target import Build, Profile

REPLAYS = 3  # of each new signature
SHRINK_S, SHRINK_CALLS = 5.0, 300  # for one finding
SHRINK_ALL_S = 15.0  # for all findings of a run: less than a person waits for
SHRINK_LEAST_S, SHRINK_SHARE = 2.0, 0.2  # who asked for ten seconds is not kept waiting for fifteen more
FULL, FULL_WAIT_S = "the disk is full", 0.5
UNEXPLAINED = Detection(
    guard="campaign",
    kind="signal-UNKNOWN",
    cwe=0,
    severity=Severity.INFO,
    place=("in-process",),
    message="the fuzzing process died on inputs that do nothing in a fresh process (state kept between executions?)",
)
UNEXPLAINED_REPLAYED = 5  # attempts in vain; after that they are kept and counted only
UNEXPLAINED_KEPT = 20  # inputs
SHRUNK = {Payload.INPUT: "input.min", Payload.SEQUENCE: "inputs.min.sequence", Payload.POLICY: None}

OnFinding = Callable[[Finding, bool], None]


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a run showed. `findings` were confirmed, by this run or an earlier one; `new` are their ids of this run."""

    findings: tuple[Finding, ...] = ()
    unconfirmed: tuple[Finding, ...] = ()
    new: frozenset[str] = frozenset()
    hints: tuple[Detection, ...] = ()
    benign: int = 0
    wall_s: float = 0.0
    interrupted: bool = False


def run(
    engine: Engine,
    job: Job,
    store: Store,
    *,
    progress: Progress,
    on_finding: OnFinding = lambda finding, fresh: None,
    replays: int = REPLAYS,
    shrink_s: float | None = None,
) -> Summary:
    """Search until the engine ends. `on_finding` hears of each signature once, with whether it is new."""
    started = time.monotonic()
    store.begin(job.target.name)
    campaign = _Campaign(engine=engine, job=job, store=store, on_finding=on_finding, replays=replays)
    with ExitStack() as stack:
        attempts = engine.search(job, progress)
        if isinstance(attempts, Generator):
            stack.callback(attempts.close)  # its processes end with it, whatever happens here
        for attempt in attempts:
            campaign.take_patiently(attempt, progress)
    campaign.recall(progress.recalled)
    if not job.stopping():
        campaign.shrink(_shrink_s(job) if shrink_s is None else shrink_s)
    return campaign.summary(time.monotonic() - started)


def _shrink_s(job: Job) -> float:
    """How long shrinking may go on after the search."""
    return SHRINK_ALL_S if job.time_s is None else min(SHRINK_ALL_S, max(SHRINK_LEAST_S, SHRINK_SHARE * job.time_s))


@dataclass(slots=True, kw_only=True)
class _Campaign:
    engine: Engine
    job: Job
    store: Store
    on_finding: OnFinding
    replays: int
    seen: dict[str, Finding] = field(default_factory=dict)
    fresh: dict[str, Reproducer] = field(default_factory=dict)
    hints: dict[str, Detection] = field(default_factory=dict)
    benign: int = 0
    started: float = field(default_factory=time.monotonic)
    builds: dict[Profile, Build] = field(default_factory=dict)  # beside the job's
    unexplained: int = 0

    def take_patiently(self, attempt: Attempt, progress: Progress) -> None:
        """A search waits for room on a full disk while it has time: until then what was seen is in memory alone.

        A sweep ends: its journal says how far it came.
        """
        while True:
            try:
                self.take(attempt)
            except (OSError, DiskFull) as error:
                late = self.job.time_s is not None and time.monotonic() > self.started + self.job.time_s
                if late or not is_full(error) or attempt.reproducer.kind is Payload.POLICY or self.job.stopping():
                    raise
                progress.pause = f"{FULL}: paused, nothing is lost; free some space and it goes on by itself"
                time.sleep(FULL_WAIT_S)
            else:
                progress.pause = ""
                return

    def take(self, attempt: Attempt) -> None:
        """Judge one attempt and keep what it shows."""
        target = self.job.target.name
        if attempt.build is not None:
            self.builds[attempt.reproducer.profile] = attempt.build
        detections = guards.judge(attempt.outcome)
        for each in detections:
            match each.standing:
                case Standing.HINT:
                    self.hints.setdefault(each.identity(target), each)
                case Standing.BENIGN:
                    self.benign += 1
                case Standing.FINDING:
                    pass
        found = serious(attempt.outcome, target)
        if found:
            self._keep(attempt, found, None)
        elif not detections and attempt.reproducer.kind is Payload.INPUT:
            self._explain(attempt)

    def recall(self, names: tuple[str, ...]) -> None:
        """Findings of runs that this one goes on with are this one's, too; they are known, not new."""
        for name in names:
            finding = self.store.find(name)
            if finding is not None:
                self.seen.setdefault(name, finding)

    def _keep(self, attempt: Attempt, found: dict[str, Detection], confirmation: Confirmation | None) -> None:
        unsettled = {name for name in found if not self._settled(name)}
        if unsettled and confirmation is None:
            confirmation = self._confirm(attempt.reproducer)
        for name, detection in found.items():
            if name in unsettled and confirmation is not None:
                self._first(attempt.reproducer, detection, confirmation.of(name))
            else:
                self._again(detection)

    def _settled(self, name: str) -> bool:
        """Confirmed before, here or in an earlier run, and its reproducer is still there."""
        known = self.seen.get(name) or self.store.find(name)
        return (
            known is not None
            and (known.state in (State.NEW, State.KNOWN) or name in self.seen)
            and Path(known.reproducer).is_file()
        )

    def _build(self, reproducer: Reproducer) -> Build | None:
        return self.builds.get(reproducer.profile, self.job.build)

    def _confirm(self, reproducer: Reproducer) -> Confirmation:
        return confirm(self.engine, reproducer, self._build(reproducer), times=self.replays, stopping=self.job.stopping)

    def _first(self, reproducer: Reproducer, detection: Detection, confirmed: tuple[int, int]) -> None:
        path = reproducer_file.write(reproducer, self._folder(detection), detection=detection)
        finding, fresh = self.store.record(
            self.job.target.name, self.engine.name, detection, reproducer=path, confirmed=confirmed
        )
        if fresh:
            self.fresh[finding.id] = reproducer
        self._tell(finding, fresh)

    def _again(self, detection: Detection) -> None:
        finding, fresh = self.store.record(self.job.target.name, self.engine.name, detection)
        if finding.id in self.seen:
            self.seen[finding.id] = finding
        else:
            self._tell(finding, fresh)

    def _tell(self, finding: Finding, fresh: bool) -> None:
        self.seen[finding.id] = finding
        self._journal(finding)
        self.on_finding(finding, fresh)

    def _explain(self, attempt: Attempt) -> None:
        """An input that ended the fuzzing process and does nothing in a fresh one: look again, else keep it apart."""
        if self.unexplained < UNEXPLAINED_REPLAYED:
            if self._led_to(attempt):
                return
            confirmation = self._confirm(attempt.reproducer)
            if confirmation.detections:
                self._keep(attempt, confirmation.detections, confirmation)
                return
        self.unexplained += 1
        folder = self._folder(UNEXPLAINED)
        if UNEXPLAINED.identity(self.job.target.name) in self.seen:
            self._again(UNEXPLAINED)
        else:
            self._first(attempt.reproducer, UNEXPLAINED, (0, self.replays))
        if self.unexplained <= UNEXPLAINED_KEPT:
            payload = attempt.reproducer.payload
            (folder / "inputs").mkdir(parents=True, exist_ok=True)
            reproducer_file.write_atomically(folder / "inputs" / hashlib.sha256(payload).hexdigest()[:16], payload)

    def _led_to(self, attempt: Attempt) -> bool:
        """Whether the input dies in a fresh process that had the inputs before it, too: as few of them as will do."""
        for reproducer in sequences(attempt):
            outcome = self.engine.replay(reproducer, self._build(reproducer))
            if found := serious(outcome, self.job.target.name):
                self._keep(Attempt(reproducer=reproducer, outcome=outcome), found, None)
                return True
        return False

    def _folder(self, detection: Detection) -> Path:
        target = self.job.target.name
        return self.job.results.absolute() / target / "findings" / detection.identity(target)

    def _journal(self, finding: Finding) -> None:
        line = {"time": round(time.time(), 3), "event": "finding", "id": finding.id, "kind": finding.detection.kind}
        path = self.job.results / self.job.target.name / "journal.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"confirmed": finding.confirmed, "state": finding.state}) + "\n")

    def shrink(self, seconds: float) -> None:
        """Smaller inputs and policies for what is new, an equal share of time for each. The originals stay there."""
        ends = time.monotonic() + seconds
        for done, (name, reproducer) in enumerate(self.fresh.items()):
            remaining = min(SHRINK_S, (ends - time.monotonic()) / (len(self.fresh) - done))
            n, m = self.seen[name].confirmed
            if remaining > 0 and n == m:
                self._shrink(name, reproducer, remaining)

    def _shrink(self, name: str, reproducer: Reproducer, seconds: float) -> None:
        def same(value: bytes) -> bool:
            try:
                outcome = self.engine.replay(replace(reproducer, payload=value), self._build(reproducer))
            except UsageError:
                return False  # a rule that cannot stand without another one
            if isinstance(outcome.ending, TimedOut | OutOfMemory) and reproducer.kind is not Payload.POLICY:
                budget.calls = 0  # each try would cost the whole limit, and an input needs many
            return name in serious(outcome, self.job.target.name)

        budget = shrink.Budget(calls=SHRINK_CALLS, seconds=seconds, stopping=self.job.stopping)
        match reproducer.kind:
            case Payload.INPUT:
                smaller = shrink.shrink(reproducer.payload, same, budget)
            case Payload.POLICY | Payload.SEQUENCE:  # both are lines, most of which can be left out
                smaller = shrink.shrink_rules(reproducer.payload, same, budget)
        if smaller != reproducer.payload:
            self._replace(name, replace(reproducer, payload=smaller), reproducer)

    def _replace(self, name: str, smaller: Reproducer, original: Reproducer) -> None:
        """A smaller input or sequence lies beside the original; a smaller policy takes its place."""
        detection = self.seen[name].detection
        folder = self._folder(detection)
        if smaller.kind is Payload.POLICY:
            reproducer_file.write_atomically(folder / "faults.original.policy", original.payload)
        path = reproducer_file.write(
            smaller,
            folder,
            detection=detection,
            payload_name=SHRUNK[smaller.kind],
        )
        self.seen[name] = self.store.set_reproducer(name, path)

    def summary(self, wall_s: float) -> Summary:
        findings = tuple(self.store.get(name) for name in self.seen)
        return Summary(
            findings=tuple(each for each in findings if each.state is not State.UNCONFIRMED),
            unconfirmed=tuple(each for each in findings if each.state is State.UNCONFIRMED),
            new=frozenset(each.id for each in findings if each.state is State.NEW),
            hints=tuple(self.hints.values()),
            benign=self.benign,
            wall_s=wall_s,
            interrupted=self.job.stopping(),
        )


def sequences(attempt: Attempt) -> Iterator[Reproducer]:
    """The attempt's input behind the last one before it, the last three, seven, ... and at last all that are known."""
    count = 1
    while attempt.before and count < 2 * len(attempt.before):
        inputs = (*attempt.before[-count:], attempt.reproducer.payload)
        yield replace(attempt.reproducer, payload=sequence.dump(inputs), sequence=True)
        count = 2 * count + 1
