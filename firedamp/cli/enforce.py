"""firedamp enforce POLICY -- CMD ..."""

from pathlib import Path
from typing import Any

import click

from firedamp.cli import options


@click.command(name="enforce", cls=options.Dashed)
@click.argument("policies", nargs=-1, required=True, type=options.FILE, metavar="POLICY... -- CMD...")
@click.option("--log", type=options.FILE, metavar="FILE", help="Where the log goes, appended [default: stderr].")
@options.exit_status
@options.execution(here=True)
@options.json_output
@options.common()
def command(
    policies: tuple[Path, ...],
    log: Path | None,
    exit_status: str,
    as_json: bool,
    results: Path | None,
    **execution: Any,
) -> int:
    """Run a command under a policy that permits: what no rule names is denied (EPERM) and logged. Exit 1 if any was.

    \b
    firedamp learn -o ls.policy -- ls -l       # what it does becomes a policy
    firedamp enforce ls.policy -- ls -l /tmp   # what else it does is denied
    """
    from firedamp.cli import injecting
    from firedamp.cli.results import CLEAN, FOUND, write_json
    from firedamp.cli.session import Session, say
    from firedamp.plural import counted
    from firedamp.report.ending import status_of, words_of

    stage = injecting.Stage(options.after_dashes() or (), **execution)
    parts = tuple((str(path), injecting.text_of(path)) for path in policies)
    injecting.check_appendable(log)
    with stage.streams(quiet=as_json):
        run = injecting.injector().run_once(stage.unhurried, parts, in_place=stage.in_place, mode="enforce")
    for note in run.notes:
        say(note)
    injecting.write_log(run.log, log)
    session = Session.open(results)
    found = injecting.keep(session, stage.target, run)
    ending, denied, slipped = run.outcome.ending, run.denied, run.slipped
    say(f"{words_of(ending)}; {counted(denied, 'call')} denied that no rule permits" if denied else words_of(ending))
    if slipped:
        say(f"{counted(slipped, 'call')} slipped through: another thread changed names while they were checked")
    if as_json:
        facts = {"ending": words_of(ending), "status": status_of(ending), "notes": [*run.notes], "log": [*run.log]}
        strikes = list(map(injecting.strike_document, run.outcome.strikes))
        write_json(session, found, **facts, denied=denied, slipped=slipped, strikes=strikes)
    else:
        injecting.say_findings(session, found)
    if exit_status == "program":
        return status_of(ending)
    return FOUND if found or denied or slipped else CLEAN
