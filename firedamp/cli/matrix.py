"""firedamp matrix FINDING..."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Session
    from firedamp.defence import Cell
    from firedamp.finding import Finding


@click.command(name="matrix")
@click.argument("names", metavar="[FINDING]...", nargs=-1)
@options.times(3)
@click.option("--compiler", metavar="CC", help="clang, gcc, zig, or a command [default: the first found].")
@options.json_output
@options.common()
def command(
    names: tuple[str, ...],
    times: int,
    compiler: str | None,
    as_json: bool,
    results: Path | None,
) -> int:
    """Replay findings of inputs on the hardened, the sanitized and the plain build: which defence stops each, and what
    happens without. All of them where none is named. What was seen before, on the same builds, is not run again.

    \b
    firedamp matrix 3f9a
    """
    from dataclasses import asdict

    from firedamp.cli.results import write, write_json
    from firedamp.cli.session import Session
    from firedamp.defence import lines
    from firedamp.report.text import headline

    session = Session.open(results)
    findings = _chosen(session, names)
    rows = []
    for finding in findings:
        cells = _cells(session, finding, compiler, times)
        rows.append({"id": finding.id, "cells": [asdict(cell) for cell in cells]})
        if not as_json:
            write("\n".join((headline(finding, root=session.root), *(f"    {line}" for line in lines(cells)))))
    if as_json:
        write_json(session, findings, defences=rows)
    elif not findings:
        write("there is no finding of an input")
    return 0


def _chosen(session: "Session", names: tuple[str, ...]) -> "list[Finding]":
    """In the order given, or all that an input shows."""
    from firedamp.errors import UsageError
    from firedamp.finding import State
    from firedamp.records import NAME

    if not names and not (session.results / NAME).exists():
        return []
    with session.store() as store:
        if not names:
            return [each for each in store.findings() if each.engine == "fuzz" and each.state is not State.UNCONFIRMED]
        chosen = [store.get(name) for name in names]
    for each in chosen:
        if each.engine != "fuzz":
            raise UsageError(f"finding {each.id}: needs a fault, not an input: no build of its program defends it")
    return chosen


def _cells(session: "Session", finding: "Finding", compiler: str | None, times: int) -> "tuple[Cell, ...]":
    from dataclasses import replace

    from firedamp import defence, engine, reproducer_file
    from firedamp.cli.session import Compilation

    path = Path(finding.reproducer)
    reproducer = reproducer_file.read(path)
    if (original := reproducer_file.original(path)) is not None:  # a shrunk one goes just far enough to be noticed
        reproducer = replace(reproducer, payload=original.read_bytes())
    return defence.matrix(
        engine.load(reproducer.engine),
        reproducer,
        lambda profile: session.build(
            reproducer.target, Compilation(profile=profile, compiler=compiler, unguarded=True)
        ),
        times=times,
        cache=path.with_name(defence.CACHE),
    )
