"""What a fuzz run shows of itself: one line for a log, and a block for a terminal that users of AFL++ can read."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from firedamp.engine import Progress
from firedamp.finding import Finding
from firedamp.plural import counted
from firedamp.report.duration import words
from firedamp.sessions import Past

Part = tuple[str, str]  # a style, and what is shown in it
STYLES = {
    "": "",
    "name": "1",
    "label": "2",
    "good": "32",
    "bad": "31;1",
    "warn": "33",
}  # ECMA-48, select graphic rendition
STALE_S = 600.0  # without anything new: AFL++ turns yellow as well
UNSTABLE = 0.9


@dataclass(slots=True, kw_only=True)
class Watched:
    """One target, as far as its status goes."""

    name: str
    progress: Progress
    past: Past
    time_s: float | None
    found: list[Finding] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.started

    @property
    def is_over(self) -> bool:
        return self.time_s is not None and self.spent_s > self.time_s + 1

    @property
    def quiet_s(self) -> float:
        """Since the last new edge, input or finding."""
        return max(0.0, self.progress.active_s - self.progress.news_s)


def line(watched: Sequence[Watched]) -> str:
    """For a log."""
    return " | ".join(map(_line, watched))


def _line(each: Watched) -> str:
    progress = each.progress
    if each.is_over:
        return f"{each.name}: {each.spent_s:.0f} s, the search is over: confirming and shrinking {_findings(each)}"
    if progress.pause:
        return f"{each.name}: {progress.pause}"
    spent = f"{each.spent_s:.0f} s" + (f" of {each.time_s:.0f} s" if each.time_s else "")
    parts = [
        f"{each.name}: {spent}",
        f"{counted(progress.executions, 'execution')} ({progress.executions_per_s:,.0f}/s)",
        counted(progress.edges, "edge"),
        f"corpus {progress.corpus:,}",
        _findings(each),
        *([f"{progress.survived:,} survived"] if progress.survived else []),
        *([f"stability {progress.stability:.0%}"] if progress.stability is not None else []),
        f"last new {words(each.quiet_s)} ago",
    ]
    return ", ".join(parts)


def _findings(each: Watched) -> str:
    return counted(len(each.found), "finding")


def block(watched: Sequence[Watched], columns: int) -> list[str]:
    """For a terminal: three lines of one target, one line of each of several."""
    colour = "NO_COLOR" not in os.environ
    rows = _rows(watched[0]) if len(watched) == 1 else [_row(each) for each in watched]
    return [render(row, columns, colour=colour) for row in rows]


def _rows(each: Watched) -> list[list[Part]]:
    progress = each.progress
    budget = f" of {words(each.time_s)}" if each.time_s else ""
    before = f" ({words(each.past.run_s + each.spent_s)} in all)" if each.past.sessions else ""
    if progress.pause or each.is_over:
        return [[("name", _line(each))]]
    return [
        [
            ("name", each.name),
            ("label", "  run time "),
            ("", f"{words(each.spent_s)}{budget}{before}"),
            ("label", "  last new find "),
            ("warn" if each.quiet_s > STALE_S else "", f"{words(each.quiet_s)} ago"),
            *_stability(progress),
        ],
        [
            ("label", "  execs "),
            ("", f"{each.past.executions + progress.executions:,} ({progress.executions_per_s:,.0f}/s)"),
            ("label", "  corpus "),
            ("", f"{progress.corpus:,}"),
            ("label", "  edges "),
            ("", f"{progress.edges:,}"),
            ("label", "  survived "),
            ("", f"{progress.survived:,}"),
        ],
        [("label", "  findings "), *_by_kind(each)],
    ]


def _row(each: Watched) -> list[Part]:
    progress = each.progress
    return [
        ("name", f"{each.name:<16.16} "),
        ("", f"{progress.executions:>13,} execs {progress.executions_per_s:>9,.0f}/s"),
        ("", f"  corpus {progress.corpus:>6,}  edges {progress.edges:>6,}"),
        ("label", "  turns "),
        ("", words(progress.active_s)),
        ("label", "  last new "),
        ("", f"{words(each.quiet_s)}  "),
        *_by_kind(each),
    ]


def _stability(progress: Progress) -> list[Part]:
    if progress.stability is None:
        return []
    style = "good" if progress.stability >= UNSTABLE else "warn"
    return [("label", "  stability "), (style, f"{progress.stability:.1%}")]


def _by_kind(each: Watched) -> list[Part]:
    kinds = Counter(finding.detection.kind for finding in each.found)
    named = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    return [("bad" if kinds else "", f"{len(each.found)}"), ("", f": {named}" if named else "")]


def render(parts: Sequence[Part], columns: int, *, colour: bool) -> str:
    """Never wider than the terminal: what wraps cannot be wiped away."""
    left, shown = columns - 1, []
    for style, text in parts:
        cut = text[: max(0, left)]
        left -= len(cut)
        shown.append(f"\x1b[{STYLES[style]}m{cut}\x1b[0m" if colour and STYLES[style] and cut else cut)
    return "".join(shown)
