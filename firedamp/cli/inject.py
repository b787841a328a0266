"""firedamp inject [-e RULE]... [--policy FILE] -- CMD ..."""

from pathlib import Path
from typing import Any

import click

from firedamp.cli import options


@click.command(name="inject", cls=options.Dashed, context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("-e", "rules", multiple=True, metavar="RULE", help="A rule, in strace's words or systrace's; repeatable.")
@click.option("--policy", "policies", multiple=True, type=options.FILE, metavar="FILE", help="A policy file.")
@options.exit_status
@options.execution(here=True)
@options.json_output
@options.common()
def command(
    words: tuple[str, ...],
    rules: tuple[str, ...],
    policies: tuple[Path, ...],
    exit_status: str,
    as_json: bool,
    results: Path | None,
    **execution: Any,
) -> int:
    """Run a command once under faults, here and with your own streams; with --workdir in a private copy of a folder.

    \b
    firedamp inject -e inject=write:error=ENOSPC:when=1 -- sort -o b a
    firedamp inject -e 'openat: filename eq "/etc/hosts" then deny[eio]' -- getent hosts localhost
    firedamp inject --policy no-space.policy -- make
    """
    from firedamp.cli import injecting
    from firedamp.cli.results import CLEAN, FOUND, write_json
    from firedamp.cli.session import Session, say
    from firedamp.report.ending import status_of, words_of

    stage = injecting.Stage((*words, *(options.after_dashes() or ())), **execution)
    parts = (*(("-e", rule) for rule in rules), *((str(path), injecting.text_of(path)) for path in policies))
    if not parts:
        raise click.UsageError("no fault is planned: give -e RULE or --policy FILE")
    with stage.streams(quiet=as_json):
        run = injecting.injector().run_once(stage.unhurried, parts, in_place=stage.in_place, mode="inject")
    for note in (*run.notes, *run.log):
        say(note)
    session = Session.open(results)
    found = injecting.keep(session, stage.target, run)
    ending = run.outcome.ending
    say(f"{words_of(ending)}; {injecting.strikes_words(run.outcome)}")
    if as_json:
        facts = {"ending": words_of(ending), "status": status_of(ending), "notes": [*run.notes, *run.log]}
        write_json(session, found, **facts, strikes=list(map(injecting.strike_document, run.outcome.strikes)))
    else:
        injecting.say_findings(session, found)
    if exit_status == "program":
        return status_of(ending)
    return FOUND if found else CLEAN
