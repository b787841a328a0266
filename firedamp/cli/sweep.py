"""firedamp sweep NAME | -- CMD ..."""

from pathlib import Path
from typing import Any

import click

from firedamp.cli import options


@click.command(name="sweep", cls=options.Dashed)
@click.argument("name", required=False, metavar="[NAME | -- CMD...]")
@click.option("--check", metavar="SHELL", help="Run after the program: 0 when the state is right.")
@click.option(
    "--errno",
    "errnos",
    multiple=True,
    metavar="NAME",
    help="Only this errno, or `short` for reads and writes that come up short; may be repeated.",
)
@click.option("--syscall", "syscalls", multiple=True, metavar="NAME", help="Only this system call; may be repeated.")
@click.option("--startup", is_flag=True, help="Also while the dynamic loader, or a script's interpreter, starts up.")
@click.option(
    "--malloc/--no-malloc",
    "allocations",
    default=None,
    help="Each place that allocates memory; by default the program's own calls of malloc, where that is cheap.",
)
@click.option(
    "--budget",
    "--time",
    "time_s",
    type=options.Duration(),
    metavar="TIME",
    help="Stop after so long; new sites come first, and each site once before any a second time.",
)
@click.option("--pairs", is_flag=True, help="Then a second fault, in what the program does after each that it handles.")
@click.option(
    "--recovery",
    is_flag=True,
    help="Print which lines only faults reach, and which not even they; a target of firedamp.toml is built for it.",
)
@click.option("--resume", is_flag=True, help="Go on where an earlier sweep of this command stopped.")
@click.option(
    "--snapshots/--no-snapshots",
    default=True,
    help="Runs that begin alike share their beginning, or each runs from its own start [default: share].",
)
@click.option("--runs", type=click.IntRange(1), help="Stop after so many runs.")
@options.new_only
@options.execution(here=False)
@options.json_output
@options.common(workers="one for each processor")
def command(
    name: str | None,
    errnos: tuple[str, ...],
    syscalls: tuple[str, ...],
    startup: bool,
    allocations: bool | None,
    time_s: float | None,
    pairs: bool,
    recovery: bool,
    resume: bool,
    snapshots: bool,
    runs: int | None,
    new_only: bool,
    as_json: bool,
    results: Path | None,
    workers: int | None,
    **execution: Any,
) -> int:
    """Make each system call of a command fail: each site, each plausible errno, one run each, in a private folder.

    NAME is a sweep of firedamp.toml, or a target there with a main of its own; any command can be given behind --.

    \b
    firedamp sweep -- cp a b
    firedamp sweep --setup 'seq 100 > a' --errno ENOSPC --errno EIO -- sort -o b a
    firedamp sweep --budget 10m -- make           # what is new first; the last line says what was left
    firedamp sweep --resume -- make               # and goes on there, also after Ctrl-C or a kill
    firedamp sweep --pairs --recovery tool        # what fails in error handlers, and which are never reached
    """
    import os

    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import exit_code
    from firedamp.cli.session import Session
    from firedamp.cli.sweeping import chosen, run, show
    from firedamp.engine import Job

    session = Session.open(results)
    sweep = chosen(session, name, options.after_dashes(), errnos, syscalls, execution, counting=recovery)
    with Interruption() as interruption:
        job = Job(
            target=sweep.target,
            results=session.results,
            time_s=time_s or sweep.budget_s,
            runs=runs,
            workers=workers or len(os.sched_getaffinity(0)),
            options={
                "errnos": sweep.errnos,
                "syscalls": sweep.syscalls,
                "startup": startup or sweep.startup,
                "malloc": sweep.malloc if allocations is None else allocations,
                "pairs": pairs or sweep.pairs,
                "resume": resume,
                "snapshots": snapshots,
            },
            stopping=interruption.stopping,
        )
        progress, summary = run(session, job)
    show(session, progress, summary, as_json=as_json, recovery=recovery or sweep.recovery)
    return exit_code(summary, new_only=new_only)
