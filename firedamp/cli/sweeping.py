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
from firedamp.cli.session import Session, command_target, overridden, say
from firedamp.engine import Job, Progress
from firedamp.errno_name import check_errno
from firedamp.finding import Finding, State
from firedamp.project import Sweep
from firedamp.report import document, text
from firedamp.report.printable import one_line
from firedamp.report.sweep import closing_line, progress_line


def chosen(
    session: Session,
    name: str | None,
    dashed: tuple[str, ...] | None,
    errnos: tuple[str, ...],
    syscalls: tuple[str, ...],
    execution: Mapping[str, Any],
) -> Sweep:
    """A sweep of firedamp.toml by its name, or a command; what the command line says of its `execution` wins."""
    check_errnos(errnos)
    if (dashed is None) == (name is None):
        raise click.UsageError("give the NAME of a sweep of firedamp.toml, or a command behind --, as in `-- cp a b`")
    if dashed is not None:
        return Sweep(target=command_target(dashed, **execution), errnos=errnos, syscalls=syscalls)
    named = session.sweep(name or "")
    return replace(
        named,
        target=overridden(named.target, **execution),
        errnos=errnos or named.errnos,
        syscalls=syscalls or named.syscalls,
    )


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


def show(session: Session, progress: Progress, summary: Summary, *, as_json: bool) -> None:
    for note in dict.fromkeys(progress.notes):
        say(note)
    if as_json:
        findings = (*summary.findings, *summary.unconfirmed)
        write_json(session, findings, **document.of_sweep(progress, summary, session.root))
    else:
        write_table(session, summary.findings, summary.unconfirmed)
        for hint in summary.hints:
            write(one_line(f"hint: {hint.kind} in {text.where(hint, session.root)}: {hint.message}"))
    say(closing_line(progress, summary))
