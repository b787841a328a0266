"""Targets that are fuzzed within one budget: what each needs, their turns, and what came of all of them.

One target runs in this thread. Of several each has a thread, a store and a search of its own; one of them at a time is
not resting, with all workers. firedamp.schedule says which.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firedamp import campaign, engine, guards, sessions
from firedamp.campaign import Summary
from firedamp.cli import status
from firedamp.cli.display import Display
from firedamp.cli.results import write_json, write_table
from firedamp.cli.session import Compilation, Session, say
from firedamp.cli.status import Watched
from firedamp.engine import Job, Progress
from firedamp.finding import Finding, State
from firedamp.plural import counted
from firedamp.report import document, duration, text
from firedamp.schedule import Schedule, turn_s
from firedamp.target import Build, Profile, Target

WAKE_S = 0.1
FINDING_WORTH = 20  # inputs of the corpus: a finding is what a turn is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What was asked for, of all targets."""

    time_s: float | None
    runs: int | None
    seed: int
    workers: int
    flags: tuple[str, ...]
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    target: Target
    build: Build | None
    flags: tuple[str, ...]
    options: dict[str, object]


def prepare(
    session: Session,
    target: Target,
    *,
    workdir: Path | None,
    compilation: Compilation,
    twin: bool,
    survive: bool,
) -> Prepared:
    """Built, with what lies beside its seeds; says what cannot be found in it, and what was done before."""
    beside = session.beside(session.config.targets[target.name])
    if beside.note:
        say(beside.note)
    if workdir is not None:
        target = replace(target, workdir=workdir.absolute())
    build = session.build(target, compilation)
    if build is not None and (unarmed := guards.unarmed(build.proof)):
        say(f"guards that cannot fire in this binary: {', '.join(unarmed)}")
    extra: dict[str, object] = {"survive": survive}
    if twin:
        sanitized = Compilation(profile=Profile.ASAN, compiler=compilation.compiler)
        extra["twin"] = lambda: session.build(target, sanitized)
    return Prepared(target=target, build=build, flags=beside.flags, options=extra)


@dataclass(slots=True)
class Strand:
    """One target under way."""

    session: Session
    prepared: Prepared
    bounds: Bounds
    tell: Callable[[Finding], None] = lambda finding: None
    resting: Callable[[], bool] = lambda: False
    summary: Summary = field(default_factory=Summary)
    error: BaseException | None = None
    watched: Watched = field(init=False)

    def __post_init__(self) -> None:
        name = self.prepared.target.name
        past = sessions.past(self.session.results / name)
        self.watched = Watched(name=name, progress=Progress(), past=past, time_s=self.bounds.time_s)
        if past.sessions:
            with self.session.store() as store:
                before = counted(len(store.findings(name)), "finding")
            killed = f"; {past.killed} of {counted(past.sessions, 'run')} killed" if past.killed else ""
            executions = counted(past.executions, "execution")
            say(f"{name}: resumed: {duration.words(past.run_s)}, {executions}, {before} before{killed}")

    @property
    def name(self) -> str:
        return self.watched.name

    @property
    def gain(self) -> float:
        """What it has shown so far: inputs with new behaviour, and findings."""
        return self.watched.progress.corpus + FINDING_WORTH * len(self.watched.found)

    def run(self) -> None:
        bounds, progress, folder = self.bounds, self.watched.progress, self.session.results / self.name
        with self.session.store() as store, sessions.Session(folder, progress):
            job = Job(
                target=self.prepared.target,
                build=self.prepared.build,
                results=self.session.results,
                time_s=bounds.time_s,
                runs=bounds.runs,
                seed=bounds.seed,
                workers=bounds.workers,
                flags=(*self.prepared.flags, *bounds.flags),
                options=self.prepared.options,
                stopping=bounds.stopping,
                resting=self.resting,
            )
            fuzzer = engine.load("fuzz")
            self.summary = campaign.run(fuzzer, job, store, progress=progress, on_finding=self._hear)

    def _hear(self, finding: Finding, fresh: bool) -> None:
        if finding.state is not State.UNCONFIRMED:
            self.watched.found.append(finding)
        self.tell(finding)


def watch(session: Session, strands: Sequence[Strand]) -> None:
    """Runs them; how far they are is shown meanwhile, and each finding as it comes."""
    watched = [each.watched for each in strands]
    with Display(
        lambda: status.line(watched),
        block=lambda columns: status.block(watched, columns),
        urgent=lambda: "; ".join(f"{each.name}: {each.progress.pause}" for each in watched if each.progress.pause),
    ) as display:
        for strand in strands:
            strand.tell = lambda finding: display.tell(text.headline(finding, root=session.root))
        run(strands)


def run(strands: Sequence[Strand]) -> None:
    """Until all are through. The first error of any of them ends all."""
    if len(strands) == 1:
        strands[0].run()
        return
    failed = threading.Event()
    turn = _Turn()
    threads = {each.name: threading.Thread(target=_follow, args=(each, failed), daemon=True) for each in strands}
    for each in strands:
        each.bounds = replace(each.bounds, stopping=_either(each.bounds.stopping, failed.is_set))
        each.resting = turn.of_others(each.name)
    schedule = Schedule(tuple(threads))
    turn.name = schedule.next(threads)
    for thread in threads.values():
        thread.start()
    _take_turns({each.name: each for each in strands}, threads, schedule, turn)
    for each in strands:
        if each.error is not None:
            raise each.error


class _Turn:
    """Whose it is."""

    name = ""

    def of_others(self, name: str) -> Callable[[], bool]:
        return lambda: self.name != name


def _take_turns(
    strands: dict[str, Strand], threads: dict[str, threading.Thread], schedule: Schedule, turn: _Turn
) -> None:
    seconds = turn_s(next(iter(strands.values())).bounds.time_s, len(strands))
    while alive := [name for name, thread in threads.items() if thread.is_alive()]:
        turn.name = schedule.next(alive)
        strand, thread = strands[turn.name], threads[turn.name]
        began, gain = time.monotonic(), strand.gain
        while thread.is_alive() and time.monotonic() < began + seconds:
            time.sleep(WAKE_S)
        schedule.spent(turn.name, time.monotonic() - began, strand.gain - gain)


def _follow(strand: Strand, failed: threading.Event) -> None:
    try:
        strand.run()
    except BaseException as error:  # raised again where the user hears it
        strand.error = error
        failed.set()


def _either(first: Callable[[], bool], second: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: first() or second()


def together(strands: Sequence[Strand]) -> Summary:
    """What all of them showed."""
    summaries = [each.summary for each in strands]
    return Summary(
        findings=tuple(finding for each in summaries for finding in each.findings),
        unconfirmed=tuple(finding for each in summaries for finding in each.unconfirmed),
        new=frozenset().union(*(each.new for each in summaries)),
        hints=tuple(hint for each in summaries for hint in each.hints),
        benign=sum(each.benign for each in summaries),
        wall_s=max(each.wall_s for each in summaries),
        interrupted=any(each.interrupted for each in summaries),
    )


def show(session: Session, strands: Sequence[Strand], summary: Summary, *, as_json: bool) -> None:
    for note in notes(strands):
        say(note)
    if as_json:
        write_json(session, (*summary.findings, *summary.unconfirmed), **facts(strands))
    else:
        write_table(session, summary.findings, summary.unconfirmed)
    progresses = [each.watched.progress for each in strands]
    say(
        f"{counted(sum(each.executions for each in progresses), 'execution')} in {summary.wall_s:.0f} s, "
        f"{counted(sum(each.edges for each in progresses), 'edge')}: "
        f"{counted(len(summary.findings), 'finding')}, {len(summary.new)} new"
    )


def notes(strands: Sequence[Strand]) -> list[str]:
    """Of each target, with its name where there are several."""
    mark = len(strands) > 1
    return [
        f"{each.name}: {note}" if mark else note
        for each in strands
        for note in dict.fromkeys(each.watched.progress.notes)
    ]


def facts(strands: Sequence[Strand]) -> dict[str, Any]:
    """For --json: the sums, and each target by itself."""
    each_one = [
        {
            "name": each.name,
            **document.of_fuzz(each.watched.progress, each.summary),
            "sessions": each.watched.past.sessions + 1,
            "total_run_s": round(each.watched.past.run_s + each.watched.progress.active_s, 3),
            "total_executions": each.watched.past.executions + each.watched.progress.executions,
        }
        for each in strands
    ]
    whole = dict(each_one[0])
    del whole["name"]
    if len(strands) > 1:
        for key in ("executions", "edges", "corpus", "survived", "signatures", "total_run_s", "total_executions"):
            whole[key] = sum(one[key] for one in each_one)
        whole["wall_s"] = max(one["wall_s"] for one in each_one)
        whole["executions_per_s"] = round(whole["executions"] / max(whole["wall_s"], 1e-3), 1)
        whole["interrupted"] = any(one["interrupted"] for one in each_one)
        whole["stability"] = whole["sessions"] = None
    return {**whole, "notes": notes(strands), "targets": each_one}
