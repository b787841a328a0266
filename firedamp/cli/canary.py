"""firedamp canary TARGET | -- CMD ..."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.canary.strength import Run
    from firedamp.cli.session import Compilation, Session
    from firedamp.target import Build, Target

LEAST_RUNS = 2  # one canary alone says nothing of its randomness
MOST_INPUTS = 8


@click.command(name="canary", cls=options.Dashed, context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TARGET | -- CMD...")
@click.option("-n", "--times", type=click.IntRange(LEAST_RUNS), default=4, show_default=True, help="Runs.")
@options.workdir("the project's folder, or the current one")
@options.building
@options.json_output
@options.common()
def command(
    words: tuple[str, ...],
    times: int,
    workdir: Path | None,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
) -> int:
    """Say how an attacker would spoof the stack canary of a program, by looking at it in several runs.

    Is it another one in each run, does it stop a string copy, is it the same in children of fork and in threads, does
    the program's own output hold it, which functions have arrays and no canary? A target runs on its seeds.

    \b
    firedamp canary parse
    firedamp canary -- /usr/sbin/tool --once
    """
    import json
    from dataclasses import asdict

    from firedamp.canary.functions import census
    from firedamp.canary.strength import lines, strength
    from firedamp.cli.results import write
    from firedamp.cli.session import Session
    from firedamp.report.document import SCHEMA

    session = Session.open(results)
    target = _target(session, words, workdir)
    build = session.build(target, compilation)
    program, runs = _watch(target, build, times)
    found = strength(runs, census(program))
    if as_json:
        write(json.dumps({"schema": SCHEMA, "program": str(program), "strength": asdict(found)}, indent=2))
    else:
        write("\n".join((f"{target.name}: {program}", *(f"  {line}" for line in lines(found)))))
    return 0


def _target(session: "Session", words: tuple[str, ...], workdir: Path | None) -> "Target":
    from firedamp.cli.session import command_target, overridden

    dashed = options.after_dashes()
    if dashed is not None:
        return command_target(dashed, workdir=workdir)
    if len(words) != 1:
        raise click.UsageError("name one target, or write -- before a command")
    return overridden(session.target(words[0]), workdir=workdir)


def _watch(target: "Target", build: "Build | None", times: int) -> "tuple[Path, tuple[Run, ...]]":
    """The program's file, and what each run showed."""
    import shutil
    from itertools import cycle, islice

    from firedamp.canary.watch import CanaryWatch
    from firedamp.errors import UsageError
    from firedamp.run import Bench
    from firedamp.target import InputMode, TargetKind

    if target.kind is TargetKind.PYTHON:
        raise UsageError(f"target {target.name!r}: is a Python harness; name a C program")
    runs = []
    with Bench(target, build) as bench:
        for data in islice(cycle(_inputs(target)), times):
            if target.input is InputMode.NONE:
                _, report = bench.run_command(interceptor=CanaryWatch())
            else:
                _, report = bench.watch_input(data, CanaryWatch())
            runs.append(_named(report))
        program = bench.command[0]
    path = target.root / program if "/" in program else Path(shutil.which(program) or program)
    return path, tuple(runs)


def _inputs(target: "Target") -> tuple[bytes, ...]:
    """The target's first seeds; the empty input where there are none."""
    folder = target.root / target.seeds if target.seeds else None
    paths = sorted(folder.rglob("*"))[:MOST_INPUTS] if folder is not None and folder.is_dir() else []
    return tuple(path.read_bytes()[: target.max_len] for path in paths if path.is_file()) or (b"",)


def _named(report: Any) -> "Run":
    """With functions and lines for what the tracer saw as addresses."""
    from dataclasses import replace

    from firedamp.naming import resolve_stack

    sightings, leaks = report
    return sightings, tuple(replace(leak, stack=resolve_stack(leak.stack)) for leak in leaks)
