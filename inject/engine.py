"""The engine of faults: sweeps a command's sites and errnos, and replays one policy beside a clean run.

Job.options: `errnos` and `syscalls` (tuples of names; empty: all; a system call may be a family or a %class), `startup`
(bool: also strike while the dynamic loader works, before the program's first instruction), `resume` (bool: what an
earlier sweep of the same command ran is not run again), `pairs` (bool: a second fault in what the program does after a
first that it handles), `malloc` (bool: memory as well, wherever it is allocated; by default where that is cheap).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from firedamp.engine import Attempt, Job, Progress
from firedamp.errors import UsageError
from firedamp.outcome import Outcome
from firedamp.plural import counted
from firedamp.reproducer import Reproducer
from firedamp.run import Attachment, Bench
from firedamp.target import Build, Target
from inject.coverage import gcov
from inject.coverage.recovery import Gathering, reached_earlier, write
from inject.observe import residue
from inject.observe.census import Hit
from inject.observe.clean import Clean, observe
from inject.policy import parse
from inject.replays import Replays
from inject.sweeps import plan
from inject.sweeps.allocations import allocations
from inject.sweeps.journal import Journal, subject
from inject.sweeps.pairs import Pairing
from inject.sweeps.plan import Plan, Selection
from inject.sweeps.schedule import Schedule, schedule
from inject.sweeps.scrutiny import scrutinised
from inject.sweeps.sharing import Sharing
from inject.sweeps.sweeping import Sweeping


class FaultEngine:
    """firedamp.engine.Engine."""

    name = "inject"

    def __init__(self) -> None:
        self._replays: Replays | None = None  # of the sweep that is under way

    def search(self, job: Job, progress: Progress) -> Iterator[Attempt]:
        """Every run whose fault struck. progress.complete: every fault was run, or skipped for a reason."""
        with ExitStack() as stack:
            bench = stack.enter_context(Bench(job.target, job.build))
            stack.callback(self._end_replays, self._begin_replays(job, stack))
            selection = _selection(job)
            clean = observe(bench)
            gathering = _gathering(bench, stack, progress)
            if gathering is not None:
                clean = observe(bench)
                gathering.end_of_clean_runs()
            made, noted = _plan(bench, clean, selection)
            progress.notes.extend((*clean.noted, *noted, *filter(None, (residue.note(clean.report.hits),))))
            journal = stack.enter_context(_journal(job, bench))
            todo = schedule(made.faults, made.skips, journal.tried, _pairing(job, clean))
            todo.take_over(journal.find)
            _begin(progress, made, todo, clean, selection, journal)
            sweeping = Sweeping(
                job=job,
                progress=progress,
                schedule=todo,
                clean=clean,
                planning=lambda hits, folder: _of_hits(hits, folder, clean, selection, _program(bench)).faults,
                attachment=gathering.attachment if gathering is not None else Attachment,
                # what is gathered is each run's own, from its first instruction on
                sharing=Sharing(wanted=gathering is None and job.options.get("snapshots") is not False),
            )
            for ran in sweeping.run(bench, stack):
                if ran.attempt is not None:
                    progress.done += 1
                    yield ran.attempt
                journal.append(ran.fault, ran.record)  # when its findings are in the store
            progress.notes.extend(sweeping.sharing.notes())
            assert progress.left >= 0, progress
            progress.pairs = progress.planned - len(made.faults) - made.skips.total()
            progress.complete = progress.left == 0 and not todo.probes
            if todo.probes:
                progress.notes.append(
                    f"still without a second fault: {counted(len(todo.probes), 'fault')} that the program handles"
                )
            if gathering is not None:
                _tell_recovery(gathering, job, progress)

    def replay(self, reproducer: Reproducer, build: Build | None) -> Outcome:
        """Clean runs, then one under the policy. While a sweep of the target is under way, all share the clean runs."""
        policy = parse(reproducer.payload.decode("utf-8", "surrogateescape"))
        if self._replays is not None and self._replays.serve(reproducer.target, build):
            return self._replays.run(policy)
        with _replays(reproducer.target, build) as replays:
            return replays.run(policy)

    def _begin_replays(self, job: Job, stack: ExitStack) -> Replays | None:
        """Replays for this sweep from now on; what there was before, for when it is over."""
        before, self._replays = self._replays, stack.enter_context(_replays(job.target, job.build))
        return before

    def _end_replays(self, before: Replays | None) -> None:
        self._replays = before


def _replays(target: Target, build: Build | None) -> Replays:
    """With the sweep's instrument, which is no part of the program."""
    return Replays(target=target, build=build, prepare=lambda bench, stack: _gathering(bench, stack, Progress()))


def _plan(bench: Bench, clean: Clean, selection: Selection) -> tuple[Plan, tuple[str, ...]]:
    """System calls and allocations, and what a person should know of them."""
    program = _program(bench)
    script = program if program is not None and is_script(program) else None
    folder = str(bench.room.path)
    calls = _of_hits(clean.report.hits, folder, clean, selection, program, script=script is not None)
    asked, note = allocations(bench, clean, selection, program=program, script=script, others=len(calls.faults))
    made = Plan(faults=(*calls.faults, *asked.faults), sites=calls.sites + asked.sites, skips=calls.skips + asked.skips)
    return made, () if note is None else (note,)


def _gathering(bench: Bench, stack: ExitStack, progress: Progress) -> Gathering | None:
    """For a program that counts its lines; from now on the bench's runs are counted apart from all others."""
    program = _program(bench)
    instrument = gcov.find(program) if program is not None else None
    match instrument:
        case None:
            return None
        case str():
            progress.notes.append(f"no recovery coverage of {bench.command[0]}: {instrument}")
            return None
        case _:
            gathering = stack.enter_context(Gathering(instrument))
            bench.attachment = gathering.attachment()
            return gathering


def _tell_recovery(gathering: Gathering, job: Job, progress: Progress) -> None:
    folder = job.results.absolute() / job.target.name
    try:
        found = gathering.recovery(reached_earlier(folder) if progress.taken_over else ())
    except RuntimeError as error:
        progress.notes.append(f"no recovery coverage: {error}")
        return
    progress.recovery = write(found, folder)
    progress.notes.append(f"{found.summary}: {progress.recovery}")


def _of_hits(
    hits: tuple[Hit, ...], folder: str, clean: Clean, selection: Selection, program: str | None, *, script: bool = False
) -> Plan:
    made = plan.plan(hits, folder, clean.steady_paths, selection, program, script=script)
    return replace(made, faults=tuple(scrutinised(made.faults, hits)))


def _pairing(job: Job, clean: Clean) -> Pairing | None:
    return Pairing(usual=frozenset(clean.report.stacks)) if job.options.get("pairs") is True else None


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
        chosen = plan.names_of(names)
    except KeyError as error:
        raise UsageError(f"{job.target.name}: {error.args[0]}; write a kernel's name, a family or a %class") from None
    return Selection(
        errnos=frozenset(word.upper() for word in errnos),
        syscalls=chosen,
        startup=job.options.get("startup") is True,
        allocations=_wish(job, "malloc"),
    )


def _wish(job: Job, key: str) -> bool | None:
    value = job.options.get(key)
    return value if isinstance(value, bool) else None


def _words(job: Job, key: str) -> tuple[str, ...]:
    value = job.options.get(key, ())
    if not isinstance(value, tuple | list | frozenset | set) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{job.target.name}: {key} = {value!r}; it must be a list of names")
    return tuple(str(word) for word in value)


def _journal(job: Job, bench: Bench) -> Journal:
    return Journal(
        job.results.absolute() / job.target.name,
        subject(job.target, _program(bench), job.results.absolute()),
        resume=job.options.get("resume") is True,
    )


def _begin(
    progress: Progress, plan: Plan, todo: Schedule, clean: Clean, selection: Selection, journal: Journal
) -> None:
    progress.sites = plan.sites
    progress.kinds = len({fault.name for fault in plan.faults})
    progress.planned = todo.planned
    progress.taken_over = todo.taken_over
    progress.skips = todo.skips
    progress.recalled = tuple(dict.fromkeys(name for record in journal.known.values() for name in record.findings))
    if journal.note:
        progress.notes.append(f"the sweep {journal.note}")
    if not plan.faults:
        progress.notes.append(_nothing(clean, selection))


def _nothing(clean: Clean, selection: Selection) -> str:
    calls = sorted({hit.syscall for hit in clean.report.hits if not hit.startup})
    if not calls or not (selection.errnos or selection.syscalls):
        return "no site was reached after the start-up: nothing could be made to fail"
    return f"nothing could be made to fail: --errno and --syscall leave nothing of {', '.join(calls)}"
