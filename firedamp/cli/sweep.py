"""firedamp sweep NAME | -- CMD ..."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    pass


@click.command(name="sweep", cls=options.Dashed)
@click.argument("name", required=False, metavar="[NAME | -- CMD...]")
@click.option("--check", metavar="SHELL", help="Run after the program: 0 when the state is right.")
@click.option("--errno", "errnos", multiple=True, metavar="NAME", help="Only this errno; may be repeated.")
@click.option("--syscall", "syscalls", multiple=True, metavar="NAME", help="Only this system call; may be repeated.")
@click.option("--startup", is_flag=True, help="Also while the dynamic loader, or a script's interpreter, starts up.")
@click.option("--time", "time_s", type=options.Duration(), metavar="TIME", help="Stop after so long.")
@click.option("--runs", type=click.IntRange(1), help="Stop after so many runs.")
@options.new_only
@options.streams
@options.limits
@options.json_output
@options.common(runs=True)
def command(
    name: str | None,
    check: str | None,
    errnos: tuple[str, ...],
    syscalls: tuple[str, ...],
    startup: bool,
    time_s: float | None,
    runs: int | None,
    new_only: bool,
    workdir: Path | None,
    setup: str | None,
    stdin: str | None,
    stdout: str | None,
    stderr: str | None,
    timeout: float | None,
    memory: int | None,
    as_json: bool,
    results: Path | None,
    seed: int | None,
    workers: int | None,
) -> int:
    """Make each system call of a command fail: each site, each plausible errno, one run each, in a private folder.

    NAME is a sweep of firedamp.toml; any command can be given behind --.

    \b
    firedamp sweep -- cp a b
    firedamp sweep --setup 'seq 100 > a' --errno ENOSPC --errno EIO -- sort -o b a
    """
    from firedamp import campaign, engine
    from firedamp.cli.display import Display, sweep_words
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import exit_code, write, write_json, write_table
    from firedamp.cli.session import Session, command_target, overridden, say
    from firedamp.errno_name import check_errno
    from firedamp.finding import Finding, State
    from firedamp.project import Sweep
    from firedamp.report import document, text
    from firedamp.report.printable import one_line

    for each in errnos:
        try:
            check_errno(each)
        except ValueError as error:
            raise click.UsageError(f"--errno: {error}") from None
    session = Session.open(results)
    facts = {
        "workdir": workdir, "setup": setup, "check": check, "stdin": stdin, "stdout": stdout, "stderr": stderr,
    }  # fmt: skip
    dashed = options.after_dashes()
    if (dashed is None) == (name is None):
        raise click.UsageError("give the NAME of a sweep of firedamp.toml, or a command behind --, as in `-- cp a b`")
    if dashed is not None:
        target = command_target(dashed, timeout=timeout, memory=memory, **facts)  # type: ignore[arg-type]
        sweep = Sweep(target=target, errnos=errnos, syscalls=syscalls)
    else:
        named = session.sweep(name or "")
        target = overridden(named.target, timeout=timeout, memory=memory, **facts)
        sweep = Sweep(target=target, errnos=errnos or named.errnos, syscalls=syscalls or named.syscalls)
    progress = engine.Progress()
    found: list[Finding] = []

    def on_finding(finding: Finding, fresh: bool) -> None:
        if finding.state is not State.UNCONFIRMED:
            found.append(finding)
        display.tell(text.headline(finding, root=session.root))

    with Interruption() as interruption, session.store() as store:
        job = engine.Job(
            target=sweep.target,
            results=session.results,
            time_s=time_s,
            runs=runs,
            seed=seed or 0,
            workers=workers or len(os.sched_getaffinity(0)),
            options={"errnos": sweep.errnos, "syscalls": sweep.syscalls, "startup": startup},
            stopping=interruption.stopping,
        )
        with Display(sweep_words(sweep.target.name, progress, lambda: len(found))) as display:
            summary = campaign.run(engine.load("inject"), job, store, progress=progress, on_finding=on_finding)
    for note in dict.fromkeys(progress.notes):
        say(note)
    everything = (*summary.findings, *summary.unconfirmed)
    if as_json:
        write_json(session, everything, **document.of_sweep(progress, summary, session.root))
    else:
        write_table(session, summary.findings, summary.unconfirmed)
        for hint in summary.hints:
            write(one_line(f"hint: {hint.kind} in {text.where(hint, session.root)}: {hint.message}"))
    skipped = ", ".join(f"{count} {reason}" for reason, count in progress.skips.items())
    say(
        f"{progress.done:,} of {progress.planned:,} runs in {summary.wall_s:.0f} s, {progress.sites:,} sites: "
        f"{len(summary.findings)} findings, {len(summary.new)} new, {len(summary.hints)} hints, "
        f"{summary.benign} benign" + (f"; skipped: {skipped}" if skipped else "")
    )
    return exit_code(summary, new_only=new_only)
