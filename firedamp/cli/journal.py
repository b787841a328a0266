"""firedamp journal TARGET"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="journal")
@click.argument("name", metavar="TARGET")
@click.option("-n", "--last", type=click.IntRange(1), help="Only so many lines of the end.")
@options.json_output
@options.common()
def command(name: str, last: int | None, as_json: bool, results: Path | None) -> int:
    """Tell what happened in all fuzz runs of TARGET: starts, deaths, findings, pauses, kills.

    \b
    firedamp journal png
    firedamp journal png -n 20
    """
    import json

    from firedamp import sessions
    from firedamp.cli.results import write
    from firedamp.cli.session import Session, say
    from firedamp.errors import UsageError
    from firedamp.plural import counted
    from firedamp.report import duration, journal
    from firedamp.report.document import SCHEMA

    session = Session.open(results)
    path = session.results / name / "journal.jsonl"
    if not path.is_file():
        raise UsageError(f"{path}: there is no journal yet; `firedamp fuzz {name}` writes it")
    events = list(journal.read(path))
    past = sessions.past(path.parent)
    if as_json:
        totals = {"run_s": round(past.run_s, 3), "executions": past.executions, "sessions": past.sessions}
        write(json.dumps({"schema": SCHEMA, "target": name, **totals, "killed": past.killed, "events": events}))
        return 0
    write("\n".join(list(journal.story(events))[-(last or 0) :]))
    say(
        f"{counted(past.sessions, 'run')}, {duration.words(past.run_s)}, {counted(past.executions, 'execution')}; "
        f"{past.killed} killed"
    )
    return 0
