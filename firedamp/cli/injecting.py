"""What `inject`, `enforce` and `learn` share: one run of a command here or in a private copy, and what it showed."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import errorcode
from pathlib import Path
from typing import cast

import click

from firedamp import engine, reproducer_file
from firedamp.cli.redirection import redirected
from firedamp.cli.session import UNLIMITED, Session, bounded, command_target, say
from firedamp.confirm import serious
from firedamp.errors import UsageError
from firedamp.finding import Detection, Finding
from firedamp.injector import Injector, Lesson, SingleRun
from firedamp.outcome import Outcome, Strike
from firedamp.report.text import headline, replay_line
from firedamp.reproducer import Reproducer
from firedamp.target import Profile, Target

Words = tuple[str, ...]


class Stage:
    """A command ready to be run once. `target` has the limits of a test; the run itself has only those asked for."""

    def __init__(
        self,
        words: Words,
        *,
        workdir: Path | None = None,
        setup: str | None = None,
        timeout: float | None = None,
        memory: int | None = None,
        **streams: str | None,
    ) -> None:
        if setup is not None and workdir is None:
            raise click.UsageError("--setup runs in a private folder: give --workdir, or prepare the folder yourself")
        self.target = command_target(words, workdir=workdir, setup=setup, timeout=timeout, memory=memory, **streams)
        self.unhurried: Target = replace(self.target, limits=bounded(UNLIMITED, timeout, memory))
        self.in_place = workdir is None  # else the names of streams lie in the copy, and the engine opens them

    @contextmanager
    def streams(self, *, quiet: bool) -> Iterator[None]:
        """`quiet`: our stdout is for results alone, so what the program says there goes to stderr."""
        named = (self.target.stdin, self.target.stdout, self.target.stderr) if self.in_place else (None, None, None)
        with redirected(stdin=named[0], stdout=named[1], stderr=named[2], quiet=quiet):
            yield


def injector() -> Injector:
    return cast(Injector, engine.load("inject"))


def text_of(path: Path) -> str:
    """A policy file. UsageError where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; name a policy file") from None


def keep(session: Session, target: Target, run: SingleRun) -> list[Finding]:
    """What the guards found in the run, on disk."""
    payload = run.policy.encode("utf-8", "surrogateescape")
    reproducer = Reproducer(engine="inject", target=target, profile=Profile.PLAIN, payload=payload)
    return [_keep(session, reproducer, each) for each in serious(run.outcome, target.name).values()]


def _keep(session: Session, reproducer: Reproducer, detection: Detection) -> Finding:
    name = detection.identity(reproducer.target.name)
    folder = session.results / reproducer.target.name / "findings" / name
    path = reproducer_file.write(reproducer, folder, detection=detection)
    with session.store() as store:
        return store.record(reproducer.target.name, "inject", detection, reproducer=path, confirmed=(1, 1))[0]


def say_findings(session: Session, found: list[Finding]) -> None:
    """On stderr, for the program's output is on stdout."""
    for each in found:
        say(headline(each, root=session.root))
        say(f"  see it again: {replay_line(each, session.results)}")


def strikes_words(outcome: Outcome) -> str:
    """write ENOSPC (3 times), read EIO"""
    if not outcome.strikes:
        return "no fault took place"
    untaken = {True: "", False: " that did not take"}
    counted = Counter(f"{each.syscall} {fault_words(each)}{untaken[each.took]}" for each in outcome.strikes)
    return ", ".join(f"{words} ({count} times)" if count > 1 else words for words, count in counted.items())


def fault_words(strike: Strike) -> str:
    return errorcode.get(strike.errno, str(strike.errno)) if strike.errno is not None else strike.effect


def strike_document(strike: Strike) -> dict[str, object]:
    return {
        "rule": strike.rule,
        "syscall": strike.syscall,
        "fault": fault_words(strike),
        "effect": strike.effect,
        "pid": strike.pid,
        "path": strike.path,
        "nth": strike.nth,
        "took": strike.took,
    }


def check_appendable(path: Path | None) -> None:
    """Before the run: UsageError where the log could not be written."""
    if path is not None:
        _append(path, "")


def write_log(lines: tuple[str, ...], path: Path | None) -> None:
    """To the end of a file, or each line as a message."""
    if path is not None:
        _append(path, "".join(f"{line}\n" for line in lines))
        return
    for line in lines:
        say(line)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}; name another --log") from None


def lesson_document(lesson: Lesson, path: Path | None) -> str:
    facts = {
        "schema": 1,
        "policy": lesson.policy,
        "path": None if path is None else str(path.absolute()),
        "added": list(lesson.added),
        "sufficiency": lesson.sufficiency,
        "notes": list(lesson.notes),
    }
    return json.dumps(facts, indent=2)
