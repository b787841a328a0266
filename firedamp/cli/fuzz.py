"""firedamp fuzz TARGET"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.session import Compilation


@click.command(name="fuzz", cls=options.Dashed)
@click.argument("names", metavar="TARGET...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All targets of firedamp.toml.")
@click.option("--time", "time_s", type=options.Duration(), metavar="TIME", help="How long, over all: 60s, 10m, 1h.")
@click.option(
    "--runs", type=click.IntRange(1), help="How many executions of each target; its corpus is read to the end."
)
@click.option("--twin", is_flag=True, help="Run what brings new coverage with AddressSanitizer and UBSan, too.")
@click.option("--no-survive", is_flag=True, help="End the fuzzing process at each crash; do not go on behind it.")
@options.workdir("the project's folder")
@options.new_only
@options.building
@options.json_output
@options.common(seed=True, workers="1")
def command(
    names: tuple[str, ...],
    everything: bool,
    time_s: float | None,
    runs: int | None,
    twin: bool,
    no_survive: bool,
    workdir: Path | None,
    new_only: bool,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
    seed: int | None,
    workers: int | None,
) -> int:
    """Feed TARGET hostile input, guided by coverage. Each new crash is confirmed in fresh processes, and shrunk.

    A second run starts where the first one ended. Several targets take turns; more time goes to those that show new
    behaviour. Flags behind -- go to libFuzzer.

    \b
    firedamp fuzz parse --time 60s
    firedamp fuzz parse --runs 1000000 -- -only_ascii=1
    firedamp fuzz --all --time 8h --workers 4
    """
    import random

    from firedamp.cli import fuzzing
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import exit_code
    from firedamp.cli.session import Session, say

    session = Session.open(results)
    chosen = tuple(session.config.targets) if everything else tuple(dict.fromkeys(names))
    if not chosen:
        raise click.UsageError("name a target, several, or --all of firedamp.toml")
    targets = [session.target(name) for name in chosen]
    if time_s is None and runs is None and not sys.stderr.isatty():
        raise click.UsageError("without a terminal nobody can press Ctrl-C: give --time or --runs, as in --time 60s")
    prepared = [
        fuzzing.prepare(session, each, workdir=workdir, compilation=compilation, twin=twin, survive=not no_survive)
        for each in targets
    ]
    seed = random.SystemRandom().randrange(1 << 31) if seed is None else seed
    say(f"fuzzing {', '.join(chosen)}, seed {seed}" + ("" if time_s or runs else "; until you press Ctrl-C"))
    with Interruption() as interruption:
        bounds = fuzzing.Bounds(
            time_s=time_s,
            runs=runs,
            seed=seed,
            workers=workers or 1,
            flags=options.after_dashes() or (),
            stopping=interruption.stopping,
        )
        strands = [fuzzing.Strand(session, each, bounds) for each in prepared]
        fuzzing.watch(session, strands)
    summary = fuzzing.together(strands)
    fuzzing.show(session, strands, summary, as_json=as_json)
    return exit_code(summary, new_only=new_only)
