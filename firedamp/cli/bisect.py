"""firedamp bisect FINDING"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedamp.cli import options

if TYPE_CHECKING:
    from firedamp.cli.bisecting import Answer
    from firedamp.cli.session import Compilation, Session


@click.command(name="bisect", cls=options.Sectioned)
@click.argument("finding", metavar="FINDING")
@click.option(
    "--good", metavar="REV", help="A commit without the finding [default: looked for, further and further back]."
)
@click.option("--bad", metavar="REV", help="A commit that shows it [default: HEAD; with --fixed looked for].")
@click.option("--fixed", is_flag=True, help="Look for the commit that repaired it: the good one is the newer [HEAD].")
@options.times(3)
@options.compiling
@options.json_output
@options.common()
def command(
    finding: str,
    good: str | None,
    bad: str | None,
    fixed: bool,
    times: int,
    compilation: "Compilation",
    as_json: bool,
    results: Path | None,
) -> int:
    """Which commit introduced a finding, or repaired it: builds and replays revisions in a folder of its own.

    Your checkout, index and branches are not touched. A revision counts by the finding's kind and function, since lines
    move; one that does not build is left out. Exit 0 when one commit was named, 1 when it was not.

    \b
    firedamp bisect 3f9a
    firedamp bisect 3f9a --good v1.2 --bad main
    firedamp bisect 3f9a --fixed                     # which commit repaired it?
    """
    from firedamp.cli import INTERRUPTED
    from firedamp.cli.bisecting import bisect
    from firedamp.cli.interruption import Interruption
    from firedamp.cli.results import write
    from firedamp.cli.session import Session

    session = Session.open(results)
    with Interruption() as interruption:
        answer = bisect(
            session,
            finding,
            good=good,
            bad=bad,
            fixed=fixed,
            times=times,
            compilation=compilation,
            stopping=interruption.stopping,
        )
        if interruption.stopping():
            return INTERRUPTED
    write(_json(session, answer) if as_json else answer.words)
    return 0 if len(answer.candidates) == 1 else 1


def _json(session: "Session", answer: "Answer") -> str:
    import json
    from dataclasses import asdict

    commits = [asdict(commit) for commit in answer.candidates]
    document = {
        "schema": 1,
        "finding": answer.finding,
        "fixed": answer.fixed,
        "commit": commits[0] if len(commits) == 1 else None,
        "candidates": commits,
        "tested": [
            {
                "commit": each.commit.name,
                "state": each.state,
                "came_back": each.came_back,
                "runs": each.runs,
                "why": each.why,
            }
            for each in answer.tested
        ],
        "words": answer.words,
    }
    return json.dumps(document, indent=1)
