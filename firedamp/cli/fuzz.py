"""firedamp fuzz TARGET"""

import sys
from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="fuzz", cls=options.Dashed)
@click.argument("name", metavar="TARGET")
@click.option("--time", "time_s", type=options.Duration(), metavar="TIME", help="How long: 60s, 10m, 1h.")
@click.option("--runs", type=click.IntRange(1), help="How many executions.")
@click.option("--twin", is_flag=True, help="Run what brings new coverage with AddressSanitizer and UBSan, too.")
@options.workdir("the project's folder")
@options.new_only
@options.building
@options.json_output
@options.common(seed=True, workers="1")
def command(
    name: str,
    time_s: float | None,
    runs: int | None,
    twin: bool,
    workdir: Path | None,
    new_only: bool,
    compiler: str | None,
    profile: str,
    unguarded: bool,
    as_json: bool,
    results: Path | None,
    seed: int | None,
    workers: int | None,
) -> int:
    """Feed TARGET hostile input, guided by coverage. Each new crash is confirmed in fresh processes, and shrunk.

    A second run starts where the first one ended. Flags behind -- go to libFuzzer.

    \b
    firedamp fuzz parse --time 60s
    firedamp fuzz parse --runs 1000000 -- -only_ascii=1
    """
    if time_s is None and runs is None and not sys.stderr.isatty():
        raise click.UsageError("without a terminal nobody can press Ctrl-C: give --time or --runs, as in --time 60s")
    import random
    from dataclasses import replace

    from firedamp import campaign, engine, guards
    from firedamp.cli.display import Display, fuzz_words
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import exit_code, write_json, write_table
    from firedamp.cli.session import Session, say
    from firedamp.finding import Finding, State
    from firedamp.report import document, text
    from firedamp.report.sweep import count
    from firedamp.target import Profile

    session = Session.open(results)
    target = session.target(name)
    beside = session.beside(session.config.targets[name])
    if beside.note:
        say(beside.note)
    if workdir is not None:
        target = replace(target, workdir=workdir.absolute())
    build = session.build(target, Profile(profile), compiler=compiler, unguarded=unguarded)
    if build is not None and (unarmed := guards.unarmed(build.proof)):
        say(f"guards that cannot fire in this binary: {', '.join(unarmed)}")
    seed = random.SystemRandom().randrange(1 << 31) if seed is None else seed
    say(f"fuzzing {name}, seed {seed}" + ("" if time_s or runs else "; until you press Ctrl-C"))
    progress = engine.Progress()
    found: list[Finding] = []

    def on_finding(finding: Finding, fresh: bool) -> None:
        if finding.state is not State.UNCONFIRMED:
            found.append(finding)
        display.tell(text.headline(finding, root=session.root))

    with Interruption() as interruption, session.store() as store:
        job = engine.Job(
            target=target,
            build=build,
            results=session.results,
            time_s=time_s,
            runs=runs,
            seed=seed,
            workers=workers or 1,
            flags=(*beside.flags, *(options.after_dashes() or ())),
            options={"twin": lambda: session.build(target, Profile.ASAN, compiler=compiler)} if twin else {},
            stopping=interruption.stopping,
        )
        with Display(fuzz_words(name, progress, lambda: len(found), time_s)) as display:
            summary = campaign.run(engine.load("fuzz"), job, store, progress=progress, on_finding=on_finding)
    for note in dict.fromkeys(progress.notes):
        say(note)
    everything = (*summary.findings, *summary.unconfirmed)
    if as_json:
        write_json(session, everything, **document.of_fuzz(progress, summary))
    else:
        write_table(session, summary.findings, summary.unconfirmed)
    say(
        f"{progress.executions:,} executions in {summary.wall_s:.0f} s, {progress.edges:,} edges: "
        f"{count(len(summary.findings), 'finding')}, {len(summary.new)} new"
    )
    return exit_code(summary, new_only=new_only)
