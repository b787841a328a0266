"""firedamp doctor"""

from pathlib import Path

import click

from firedamp.cli import options


@click.command(name="doctor")
@options.json_output
@options.common()
def command(as_json: bool, results: Path | None) -> int:
    """Say what this machine can do, and the remedy for what it cannot. Exit 3 when something essential is missing.

    \b
    firedamp doctor
    """
    import json
    from dataclasses import asdict

    from firedamp.cli.examination import Health, examine
    from firedamp.cli.results import write

    where = results or Path.cwd()
    rows = []
    for row in examine(where):
        rows.append(row)
        if not as_json:
            write(f"{row.health.value:<8} {row.what:<13} {row.state}")
            if row.remedy:
                write(f"{'':<22} remedy: {row.remedy}")
    broken = [row for row in rows if row.health is Health.MISSING]
    if as_json:
        write(json.dumps({"schema": 1, "ok": not broken, "rows": [asdict(row) for row in rows]}, indent=2))
    return 3 if broken else 0
