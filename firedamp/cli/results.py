"""Results on stdout, as text or as one JSON object, and the exit code that they mean."""

import os
import sys
from collections.abc import Collection, Iterable

from firedamp.campaign import Summary
from firedamp.cli import INTERRUPTED
from firedamp.cli.session import Session
from firedamp.finding import Finding
from firedamp.report.printable import printable

FOUND, CLEAN = 1, 0


def write(text: str) -> None:
    """On stdout. A reader that has gone away changes nothing about the exit code."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def write_json(session: Session, findings: Iterable[Finding], **facts: object) -> None:
    from firedamp.report.document import document

    write(document(findings, root=session.root, results=session.results, **facts))


def write_table(session: Session, findings: Collection[Finding], unconfirmed: Collection[Finding] = ()) -> None:
    """Findings with their replay commands; what did not come back is listed apart."""
    if not findings and not unconfirmed:  # rich costs a tenth of a short run
        return
    from firedamp.report import text

    console = text.console()
    try:
        if findings:
            console.print(text.table(findings, root=session.root))
            console.print("\nsee one again:")
            for each in findings:
                console.print(f"  {text.replay_line(each, session.results)}", markup=False)
        if unconfirmed:
            console.print("\nunconfirmed (did not come back in a fresh process; no findings):")
            console.print(text.table(unconfirmed, root=session.root))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def exit_code(summary: Summary, *, new_only: bool) -> int:
    if summary.interrupted:
        return INTERRUPTED
    counted = [each for each in summary.findings if each.id in summary.new or not new_only]
    return FOUND if counted else CLEAN
