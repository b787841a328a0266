"""firedamp findings"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="findings")
@click.option("--target", metavar="NAME", help="Of one target only.")
@options.json_output
@options.common()
def command(target: str | None, as_json: bool, results: Path | None) -> int:
    """List what was found, known and new; with --json as one object whose fields scripts may rely on.

    \b
    firedamp findings
    firedamp findings --json | jq -r '.findings[].kind'
    """
    from firedamp import records
    from firedamp.cli.results import write, write_json, write_table
    from firedamp.cli.session import Session
    from firedamp.finding import Finding, State
    from firedamp.report.text import quadrants

    session = Session.open(results)
    found: tuple[Finding, ...] = ()
    if (session.results / records.NAME).exists():
        with session.store() as store:
            found = store.findings(target)
    confirmed = [each for each in found if each.state is not State.UNCONFIRMED]
    if as_json:
        write_json(session, found)
    elif found:
        write_table(session, confirmed, [each for each in found if each.state is State.UNCONFIRMED])
        if shown := quadrants(confirmed):
            write(f"\n{shown}")
    else:
        write("nothing was found yet")
    return 0
