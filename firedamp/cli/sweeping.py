"""What `firedamp sweep` does: which command, the search with its progress line, and the results."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import click

from firedamp import campaign, engine
from firedamp.campaign import Summary
from firedamp.cli.display import Display
from firedamp.cli.results import write, write_json, write_table
from firedamp.cli.session import Compilation, Session, command_target, overridden, say
from firedamp.engine import Job, Progress
from firedamp.errno_name import check_errno
from firedamp.finding import Finding, State
from firedamp.project import Sweep
from firedamp.report import document, text
from firedamp.report.printable import one_line
from firedamp.report.sweep import closing_line, progress_line
from firedamp.target import InputMode, Profile, Target, TargetKind


def chosen(
    session: Session,
    name: str | None,
    dashed: tuple[str, ...] | None,
    errnos: tuple[str, ...],
    syscalls: tuple[str, ...],
    execution: Mapping[str, Any],
    *,
    counting: bool = False,
) -> Sweep:
    """A sweep or program of firedamp.toml by its name, or a command; the command line's `execution` wins.

    `counting`: a program that is built here counts its lines.
    """
    check_errnos(errnos)
    if (dashed is None) == (name is None):
        raise click.UsageError("give the NAME of a sweep of firedamp.toml, or a command behind --, as in `-- cp a b`")
    if dashed is not None:
        return Sweep(target=command_target(dashed, **execution), errnos=errnos, syscalls=syscalls)
    named = _built(session, name or "", counting=counting) or session.sweep(name or "")
    return replace(
        named,
        target=overridden(named.target, **execution),
        errnos=errnos or named.errnos,
        syscalls=syscalls or named.syscalls,
    )


def _built(session: Session, name: str, *, counting: bool) -> Sweep | None:
    """A target with a main of its own, as the command that it becomes; None where there is none of that name."""
    target = session.config.targets.get(name)
    if name in session.config.sweeps or target is None or target.kind is not TargetKind.PROGRAM:
        return None
    if counting:  # -O0: what stands in the source is what is counted
        target = replace(target, cflags=(*target.cflags, "-O0", "--coverage"), ldflags=(*target.ldflags, "--coverage"))
    build = session.build(target, Compilation(profile=Profile.PLAIN, compiler="gcc" if counting else None))
    assert build is not None
    words = (str(build.executable), *target.args)
    plain = Target(
        name=name, kind=TargetKind.COMMAND, root=target.root, command=words, input=InputMode.NONE, limits=target.limits
    )
    facts = {key: getattr(target, key) for key in ("setup", "workdir", "stdin", "stdout", "stderr")}
    return Sweep(target=replace(plain, **facts))


def check_errnos(errnos: Iterable[str]) -> None:
    for each in errnos:
        try:
            check_errno(each)
        except ValueError as error:
            raise click.UsageError(f"--errno: {error}") from None


def run(session: Session, job: Job) -> tuple[Progress, Summary]:
    """The search, with a line for each finding as it comes."""
    progress = Progress()
    began = time.monotonic()
    found: list[Finding] = []

    def words() -> str:
        return progress_line(job.target.name, progress, len(found), time.monotonic() - began, job.time_s)

    def on_finding(finding: Finding, fresh: bool) -> None:
        if finding.state is not State.UNCONFIRMED:
            found.append(finding)
        display.tell(text.headline(finding, root=session.root))

    with session.store() as store, Display(words) as display:
        return progress, campaign.run(engine.load("inject"), job, store, progress=progress, on_finding=on_finding)


def show(session: Session, progress: Progress, summary: Summary, *, as_json: bool, recovery: bool = False) -> None:
    for note in dict.fromkeys(progress.notes):
        say(note)
    if as_json:
        findings = (*summary.findings, *summary.unconfirmed)
        write_json(session, findings, **document.of_sweep(progress, summary, session.root))
    else:
        write_table(session, summary.findings, summary.unconfirmed)
        for hint in summary.hints:
            write(one_line(f"hint: {hint.kind} in {text.where(hint, session.root)}: {hint.message}"))
        if recovery and progress.recovery is not None:
            write(progress.recovery.read_text("utf-8", "replace"))
    if recovery and progress.recovery is None:
        say("--recovery: the program does not count its lines; compile it with gcc --coverage, and sweep it to its end")
    say(closing_line(progress, summary))
