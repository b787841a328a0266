"""Findings for a person at a terminal: a table, and one finding in full. Colours only where the console has them."""

import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from firedamp import cwe
from firedamp.finding import Detection, Effect, Finding, Severity, State
from firedamp.outcome import Frame, Reach
from firedamp.plural import counted
from firedamp.report.document import replay_command, source_file
from firedamp.report.printable import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
UNWRAPPED = 10_000  # columns, where nobody looks at a terminal: a line stays one line for grep


def console(*, stderr: bool = False) -> "Console":
    """rich honours NO_COLOR by itself; without a terminal lines are never wrapped."""
    from rich.console import Console  # 30 ms, and a run without a finding prints no table

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNWRAPPED
    return Console(file=stream, width=width, highlight=False, soft_wrap=True, emoji=False)


def where(detection: Detection, root: Path) -> str:
    """`function (file:line)`, as much of it as is known; a program's fault by the last part of its place."""
    frame = detection.frame
    if frame is None:
        return detection.place[0] if detection.place else "-"
    return frame_words(frame, root)


def frame_words(frame: Frame, root: Path) -> str:
    function = frame.function or f"{Path(frame.module).name}+{frame.offset:#x}"
    file = source_file(frame, root)
    line = f":{frame.line}" if frame.line is not None else ""
    return f"{function} ({file}{line})" if file is not None else function


def table(findings: Iterable[Finding], *, root: Path) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "KIND", "TARGET", "WHERE", "SEVERITY", "EXPOSURE", "COUNT", "CONFIRMED", "STATE"):
        grid.add_column(heading, no_wrap=heading not in ("WHERE", "KIND"), overflow="fold")
    for each in findings:
        n, m = each.confirmed
        severity = each.detection.severity
        grid.add_row(
            each.id,
            escape(one_line(each.detection.kind)),
            escape(each.target),
            escape(one_line(where(each.detection, root))),
            f"[{STYLES[severity]}]{severity}[/]",
            exposure(each.detection) or "-",
            str(each.count),
            f"{n} of {m}",
            each.state.value,
        )
    return grid


def quadrants(findings: Iterable[Finding]) -> str:
    """How many findings stand where: who can bring them about x what that one wins. Empty where none has both."""
    counts = Counter((each.detection.reach, each.detection.effect) for each in findings)
    if not any(reach is not None and effect is not None for reach, effect in counts):
        return ""
    columns = [effect.value for effect in Effect]
    lines = ["  ".join(("      ", *columns))]
    for reach in Reach:
        cells = (str(counts[reach, effect]).rjust(len(effect.value)) for effect in Effect)
        lines.append("  ".join((f"{reach.value:<6}", *cells)))
    return "\n".join(lines)


def headline(finding: Finding, *, root: Path) -> str:
    """One line: what, where, how sure."""
    n, m = finding.confirmed
    detection = finding.detection
    what = f"{detection.kind} in {where(detection, root)}  {detection.severity}, came back {n} of {m}, {finding.state}"
    return one_line(f"{finding.id}  {what}" + (f": {detection.message}" if detection.message else ""))


def replay_line(finding: Finding, results: Path) -> str:
    return shlex.join(replay_command(finding.id, results))


def story(finding: Finding, *, root: Path, results: Path, payload: str, defences: Iterable[str] = ()) -> str:
    """Everything that is known of one finding; `payload` is the reproducer as a person reads it."""
    detection = finding.detection
    lines = [
        headline(finding, root=root),
        f"  target {finding.target}, engine {finding.engine}, guard {detection.guard}"
        + (f", {cwe.title(detection.cwe)}" if detection.cwe else ""),
        _exposure_words(detection),
        f"  seen {counted(finding.count, 'time')}, first {finding.first_seen}, last {finding.last_seen}",
        _state_words(finding.state),
        *_section("evidence", detection.evidence),
        *_section("stack", (_stack_line(index, frame, root) for index, frame in enumerate(detection.stack))),
        *_section("defences (firedamp matrix)", defences),
        *_section(f"reproducer: {finding.reproducer}", payload.splitlines()),
        *_section("replay", (replay_line(finding, results),)),
    ]
    return printable("\n".join(line for line in lines if line))


def exposure(detection: Detection) -> str:
    """`remote, takeover`: as much of the two as is known."""
    return ", ".join(each.value for each in (detection.reach, detection.effect) if each is not None)


def _exposure_words(detection: Detection) -> str:
    if not (words := exposure(detection)):
        return ""
    return f"  {words}" + (f": {detection.because}" if detection.because else "")


def _state_words(state: State) -> str:
    match state:
        case State.UNCONFIRMED:
            return "  it did not come back in a fresh process: it does not count as a finding"
        case State.FIXED:
            return "  it did not come back when it was last replayed"
        case State.NEW | State.KNOWN:
            return ""


def _section(title: str, lines: Iterable[str]) -> list[str]:
    body = [f"    {line}" for line in lines]
    return [f"  {title}", *body] if body else []


def _stack_line(index: int, frame: Frame, root: Path) -> str:
    in_source = frame.own and frame.line is not None
    return f"#{index} {frame_words(frame, root)}" + (
        "" if in_source else f"  [{Path(frame.module).name}+{frame.offset:#x}]"
    )
